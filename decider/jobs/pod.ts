import type { KubernetesObject } from '../../lib/kubernetes/types.ts'
import type { Amounts, ContainerFacts, JobIdentity, PodFacts } from './document.ts'

/** A pod that gitlab-runner's Kubernetes executor made for a job, as far as its metrics are concerned. */
export interface JobPod {
  job: JobIdentity
  pod: PodFacts
  containers: readonly ContainerFacts[]
  /** Of the first container; undefined while none has started. */
  startedMs: number | undefined
  /** Of the last container; undefined while one runs. */
  finishedMs: number | undefined
  /** The phase says so; most job pods are deleted before theirs does. */
  ended: boolean
}

const JOB = 'job.runner.gitlab.com/'
const PROJECT_ID = 'project.runner.gitlab.com/id'
const MAX_TEXT = 1000

/**
 * Undefined for what is no job's pod: without a job's id, or with a project's id in the annotations that is not the one in
 * the labels. GitLab Runner annotates since 15.9; the labels, which no job can overwrite, came after 17.8.
 */
export function readJobPod(object: KubernetesObject): JobPod | undefined {
  const { namespace, name, uid, annotations = {}, labels = {} } = object.metadata
  const id = idOf(annotations[`${JOB}id`])
  const projectId = idOf(annotations[PROJECT_ID])
  if (id === undefined || projectId === undefined || namespace === undefined || uid === undefined) return undefined
  if (labels[PROJECT_ID] !== undefined && labels[PROJECT_ID] !== String(projectId)) return undefined
  const text = (key: string) => annotations[`${JOB}${key}`]?.slice(0, MAX_TEXT) ?? null

  const spec = recordOf(object['spec'])
  const status = recordOf(object['status'])
  const { nodeName } = spec
  const containers = [
    ...readContainers(spec['initContainers'], status['initContainerStatuses'], true),
    ...readContainers(spec['containers'], status['containerStatuses'], false),
  ]
  const started = containers.map(({ startedMs }) => startedMs).filter(ms => ms !== undefined)
  const finished = containers.map(({ finishedMs }) => finishedMs)
  const allFinished = finished.every(ms => ms !== undefined)
  return {
    job: { id, projectId, name: text('name'), ref: text('ref'), sha: text('sha'), url: text('url') },
    pod: { namespace, name, uid, node: typeof nodeName === 'string' ? nodeName : null },
    containers: containers.map(({ facts }) => facts),
    startedMs: started.length === 0 ? undefined : Math.min(...started),
    finishedMs: allFinished && finished.length > 0 ? Math.max(...finished) : undefined,
    ended: status['phase'] === 'Succeeded' || status['phase'] === 'Failed',
  }
}

interface ReadContainer {
  facts: ContainerFacts
  startedMs: number | undefined
  finishedMs: number | undefined
}

function readContainers(specs: unknown, statuses: unknown, init: boolean): ReadContainer[] {
  const byName = new Map(recordsOf(statuses).map(status => [status['name'], status]))
  return recordsOf(specs).flatMap(spec => {
    const { name } = spec
    if (typeof name !== 'string') return []
    const status = byName.get(name) ?? {}
    const running = recordOf(recordOf(status['state'])['running'])
    const terminated = recordOf(recordOf(status['state'])['terminated'])
    const last = recordOf(recordOf(status['lastState'])['terminated'])
    const resources = recordOf(spec['resources'])
    const { restartCount } = status
    const { exitCode } = terminated
    const facts: ContainerFacts = {
      name,
      init,
      requests: amountsOf(resources['requests']),
      limits: amountsOf(resources['limits']),
      restarts: typeof restartCount === 'number' ? restartCount : 0,
      oomKilled: [terminated, last].some(({ reason }) => reason === 'OOMKilled'),
      exitCode: typeof exitCode === 'number' ? exitCode : null,
    }
    const startedMs = timeOf(last['startedAt']) ?? timeOf(running['startedAt']) ?? timeOf(terminated['startedAt'])
    return [{ facts, startedMs, finishedMs: timeOf(terminated['finishedAt']) }]
  })
}

function amountsOf(value: unknown): Amounts {
  const { cpu, memory } = recordOf(value)
  const cpuCores = quantityOf(cpu)
  const memoryBytes = quantityOf(memory)
  return { ...(cpuCores !== undefined && { cpuCores }), ...(memoryBytes !== undefined && { memoryBytes }) }
}

const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** A Kubernetes quantity such as `500m`, `1.5`, `2Gi` or `1e3`; undefined for anything else. */
export function quantityOf(value: unknown): number | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined
  const [, digits, suffix = ''] = /^([+-]?\d*\.?\d+(?:[eE][+-]?\d+)?|\d+\.)([A-Za-z]{0,2})$/.exec(String(value)) ?? []
  const factor = Object.hasOwn(FACTORS, suffix) ? FACTORS[suffix] : undefined
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor
}

function idOf(text: string | undefined): number | undefined {
  const id = /^[1-9]\d{0,15}$/.test(text ?? '') ? Number(text) : Number.NaN
  return Number.isSafeInteger(id) ? id : undefined
}

function timeOf(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

function recordsOf(value: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.map(recordOf) : []
}
