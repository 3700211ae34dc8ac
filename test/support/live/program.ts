import { type Clock } from '../../../lib/service/clock.ts'
import { startProgram, type Program } from '../../../cli/demo/process.ts'
import {
  asNumber,
  asRecord,
  asString,
  metadataOf,
  records,
  type KubeObject,
} from '../../../simulator/kubernetes/values.ts'

/** What a container gets from the node it runs on. */
export interface Place {
  /** Folder of the bundled programs. */
  programs: string
  /** The port on loopback that stands for a port of the pod. */
  port: (containerPort: number) => number
  /** Text of an argument or file with the paths and names of the pod made those of this machine. */
  here: (text: string) => string
  kubeconfig: string
  /** Token of the runner that the pods of this cluster share. */
  runnerToken: string
  gitlabUrl: string
  timeScale: number
  logFile: string
  clock: Clock
}

/** What stands in for gitlab-runner's image. */
export const RUNNER_IMAGE = 'registry.gitlab.com/gitlab-org/gitlab-runner:v19.4.0'
const RUNNER_METRICS_PORT = 9252
/** A CA bundle settles in 0.3 s instead of 5 min. */
const WEBHOOK_TIME_SCALE = 0.001

/** Starts a container as a process: arguments and environment are the pod's, ports are free ones of loopback. */
export function startContainer(pod: KubeObject, container: KubeObject, place: Place): Program {
  const { name: podName, namespace } = metadataOf(pod)
  const [command = '', ...args] = Array.isArray(container['args']) ? container['args'].map(String) : []
  const isRunner = container['image'] === RUNNER_IMAGE
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': String(podName),
    'metadata.namespace': String(namespace),
    'status.podIP': '127.0.0.1',
  }
  const environment = records(container['env']).map(({ name, value, valueFrom }): [string, string] => {
    const field = asString(asRecord(asRecord(valueFrom)?.['fieldRef'])?.['fieldPath'])
    return [String(name), field === undefined ? (asString(value) ?? '') : (fields[field] ?? '')]
  })
  return startProgram(
    {
      name: `${String(podName)}/${String(container['name'])}`,
      script: `${place.programs}/${isRunner ? 'simulated-runner' : command}.cjs`,
      args: isRunner ? runnerArguments(String(podName), place) : [...args.map(place.here), ...extraOf(command, place)],
      environment: { ...Object.fromEntries<string>(environment), HOSTNAME: String(podName) },
    },
    place.logFile,
    place.clock,
  )
}

function runnerArguments(name: string, { gitlabUrl, runnerToken, port, timeScale }: Place): string[] {
  const listen = `127.0.0.1:${port(RUNNER_METRICS_PORT)}`
  return ['--gitlab-url', gitlabUrl, '--token', runnerToken, '--name', name, '--listen', listen, ...scaled(timeScale)]
}

/** What a process lacks that has no network and no service account of its own. */
function extraOf(command: string, { port, kubeconfig, timeScale }: Place): string[] {
  switch (command) {
    case 'decider':
      return ['--listen', `127.0.0.1:${port(8080)}`, '--kubeconfig', kubeconfig]
    case 'webhook':
      return ['--kubeconfig', kubeconfig, '--drain-seconds', '1', ...scaled(WEBHOOK_TIME_SCALE)]
    case 'sidecar':
      return ['--runner-metrics-url', `http://127.0.0.1:${port(RUNNER_METRICS_PORT)}/metrics`, ...scaled(timeScale)]
    default:
      throw new Error(`no image has a program ${command}`)
  }
}

function scaled(factor: number): string[] {
  return ['--time-scale', String(factor)]
}

/** Lines that a mounted configuration gets, for what cannot be said by arguments. */
export function extraConfiguration(file: string, { port, timeScale }: Pick<Place, 'port' | 'timeScale'>): string {
  if (file === 'decider.yaml') return `timeScale: ${timeScale}\n`
  if (file === 'webhook.yaml') return `listen: 127.0.0.1:${port(8443)}\nopsListen: 127.0.0.1:${port(8081)}\n`
  return ''
}

/** Every port that a process of the pod may listen at, declared or not. */
export function portsOf(pod: KubeObject): number[] {
  const declared = records(asRecord(pod['spec'])?.['containers']).flatMap(({ ports }) =>
    records(ports).flatMap(({ containerPort }) => asNumber(containerPort) ?? []),
  )
  return [...new Set([...declared, RUNNER_METRICS_PORT])]
}
