import { field, isObject, objectsField, textField, textsField, type JsonObject } from './json.ts'
import { parseQuantity } from './quantity.ts'

/** The parts of a pod that injecting looks at. Objects and lists are the pod's own; null counts as absent. */
export interface PodShape {
  metadata: JsonObject
  spec: JsonObject
  labels: JsonObject
  /** Undefined when absent, as the lists are: what is not there must be created whole. */
  annotations: JsonObject | undefined
  containers: readonly JsonObject[]
  initContainers: readonly JsonObject[] | undefined
  volumes: readonly JsonObject[] | undefined
  /** Of all three kinds, in that order. */
  allContainers: readonly JsonObject[]
}

/** Undefined when a part has a type that no API server accepts, or when there is no container: then nothing is certain. */
export function shapeOf(pod: unknown): PodShape | undefined {
  const metadata = field(pod, 'metadata')
  const spec = field(pod, 'spec')
  if (!isObject(metadata) || !isObject(spec)) return undefined
  const labels = field(metadata, 'labels') ?? {}
  const annotations = field(metadata, 'annotations')
  const containers = namedList(spec, 'containers')
  const initContainers = namedList(spec, 'initContainers')
  const ephemeral = namedList(spec, 'ephemeralContainers')
  const volumes = namedList(spec, 'volumes')
  if (!isObject(labels) || (annotations !== undefined && !isObject(annotations))) return undefined
  if (containers === undefined || containers === WRONG || containers.length === 0) return undefined
  if (initContainers === WRONG || ephemeral === WRONG || volumes === WRONG) return undefined
  return {
    metadata,
    spec,
    labels,
    annotations,
    containers,
    initContainers,
    volumes,
    allContainers: [...containers, ...(initContainers ?? []), ...(ephemeral ?? [])],
  }
}

const WRONG = Symbol('a list of a wrong type')

function namedList(spec: JsonObject, key: string): readonly JsonObject[] | undefined | typeof WRONG {
  const list = field(spec, key)
  if (list === undefined) return undefined
  if (!Array.isArray(list)) return WRONG
  return list.every(item => isObject(item) && typeof item['name'] === 'string') ? (list as JsonObject[]) : WRONG
}

/** API servers refuse Linux's fields where the pod says so; a node selector says it too, on older clusters alone. */
export function isWindows({ spec }: PodShape): boolean {
  const selector = field(spec, 'nodeSelector')
  const isNamed = (value: unknown, key: string) => textField(value, key)?.toLowerCase() === 'windows'
  return (
    isNamed(field(spec, 'os'), 'name') ||
    isNamed(selector, 'kubernetes.io/os') ||
    isNamed(selector, 'beta.kubernetes.io/os')
  )
}

/** The pod tells all its containers to be root: one that refuses to would never start, and the pod never be ready. */
export function runsAsRoot({ spec }: PodShape): boolean {
  return String(field(field(spec, 'securityContext'), 'runAsUser')) === '0'
}

const AMOUNTS = ['cpu', 'memory'] as const
const NO_AMOUNTS: ReadonlySet<string> = new Set()

/** Every container has limits for CPU and memory, and requests just as much: a class that one other container ends. */
export function isGuaranteed({ containers, initContainers = [] }: PodShape): boolean {
  return [...containers, ...initContainers].every(container => {
    const resources = field(container, 'resources')
    return AMOUNTS.every(name => {
      const limit = parseQuantity(field(field(resources, 'limits'), name))
      const request = field(field(resources, 'requests'), name)
      return limit !== undefined && limit > 0 && (request === undefined || parseQuantity(request) === limit)
    })
  })
}

/**
 * Amounts that the pod has as a whole (`spec.resources`). Its containers' requests must fit into them, so that another
 * container's could make the pod invalid; and the pod's class depends on them alone.
 */
export function podLevelAmounts({ spec }: PodShape): ReadonlySet<string> {
  const resources = field(spec, 'resources')
  if (resources === undefined) return NO_AMOUNTS
  return new Set(
    AMOUNTS.filter(name => ['requests', 'limits'].some(kind => field(field(resources, kind), name) !== undefined)),
  )
}

/** A TCP port or a port's name that a container declares. */
export function declaresPort(container: JsonObject, port: number, name?: string): boolean {
  return objectsField(container, 'ports').some(
    declared =>
      (name !== undefined && textField(declared, 'name') === name) ||
      (Number(field(declared, 'containerPort')) === port && (field(declared, 'protocol') ?? 'TCP') === 'TCP'),
  )
}

/** All words of a container's command line. */
export function commandLine(container: JsonObject): readonly string[] {
  return [...textsField(container, 'command'), ...textsField(container, 'args')]
}
