import { field, objectsField, textField, type JsonObject } from './json.ts'
import { CONTAINER_NAME } from './names.ts'
import { commandLine, declaresPort, type PodShape } from './shape.ts'

/** What gitlab-runner serves its metrics on, by default and in the official chart. */
const RUNNER_METRICS_PORT = 9252
const LISTEN_ADDRESS = 'LISTEN_ADDRESS'

/** The container that kubectl should mean: the chart's is named like the pod's label `app`, the Operator's `runner`. */
export function mainContainer({ containers, labels }: PodShape): JsonObject | undefined {
  const others = containers.filter(container => container['name'] !== CONTAINER_NAME)
  const app = textField(labels, 'app')
  return (
    others.find(({ name }) => name === app || name === 'runner' || name === 'gitlab-runner') ??
    others.find(container => textField(container, 'image')?.includes('gitlab-runner')) ??
    others[0]
  )
}

/**
 * The variable that turns on the runner's metrics for its own pod alone, and the index of the container that gets it;
 * undefined when the metrics may be on already, or when the port may be another's.
 *
 * `gitlab-runner run` reads LISTEN_ADDRESS before its configuration file, and ends when the port is taken. So this is for
 * the official chart alone, which annotates its pods with `prometheus.io/…` exactly when its metrics are on, and which
 * names the runner's container like the label `app`.
 */
export function runnerMetricsVariable(shape: PodShape): { index: number; variable: JsonObject } | undefined {
  const { labels, annotations = {}, containers, allContainers } = shape
  if (textField(labels, 'chart')?.startsWith('gitlab-runner-') !== true) return undefined
  if (Object.keys(annotations).some(key => key.startsWith('prometheus.io/'))) return undefined
  const index = containers.findIndex(({ name }) => name === labels['app'])
  const runner = containers[index]
  if (runner === undefined || mayListen(runner)) return undefined
  if (allContainers.some(other => other !== runner && declaresPort(other, RUNNER_METRICS_PORT))) return undefined
  return { index, variable: { name: LISTEN_ADDRESS, value: `127.0.0.1:${RUNNER_METRICS_PORT}` } }
}

/** What `envFrom` brings is not in the pod, so it may bring the variable. */
function mayListen(runner: JsonObject): boolean {
  const env = field(runner, 'env')
  return (
    (Array.isArray(env) ? env.some(variable => field(variable, 'name') === LISTEN_ADDRESS) : env !== undefined) ||
    objectsField(runner, 'envFrom').length > 0 ||
    commandLine(runner).some(word => /listen-address|LISTEN_ADDRESS/.test(word))
  )
}
