import { applyAdditions, isSound, type Addition } from './check.ts'
import type { SidecarConfig } from './config.ts'
import { escapeKey, field, objectsField, textField, textsField, type JsonObject } from './json.ts'
import {
  CONTAINER_NAME,
  DEFAULT_CONTAINER_ANNOTATION,
  INJECTED_ANNOTATION,
  NO_TOKEN_VOLUME,
  PORT,
  PORT_NAME,
} from './names.ts'
import { overridesFor, type PodSettings } from './overrides.ts'
import type { SkipReason } from './reasons.ts'
import { type Added, writeRecord } from './record.ts'
import { mainContainer, runnerMetricsVariable } from './runner-container.ts'
import { declaresPort, shapeOf, type PodShape } from './shape.ts'
import { sidecarContainer, sidecarVolumes, type Volume } from './template.ts'

export interface InjectOptions {
  sidecar: SidecarConfig
  /** Whether API server and kubelets are known to have native sidecars. Elsewhere one would never let the pod start. */
  nativeSidecars: boolean
}

export type Injection =
  { patch: readonly Addition[]; native: boolean; warnings: readonly string[] } | { skip: SkipReason }

/** One thing that a pod lacks: where it goes and what our record says of it. */
interface Element {
  additions: readonly Addition[]
  added: readonly Added[]
}

/**
 * The additions that give a pod its sidecar. For each element that is missing there is one: a pod that has some of them
 * already (another webhook took the rest away) is completed, and one that has all is `alreadyInjected`.
 *
 * Nothing that is in the pod is read into types and written again, so nothing of it can be lost; the result is checked
 * before it is given out. Pure: the same pod and options give the same patch.
 */
export function inject(pod: unknown, options: InjectOptions): Injection {
  const shape = shapeOf(pod)
  if (shape === undefined) return { skip: 'malformedPod' }
  const present = findSidecar(shape)
  if (present === 'taken') return { skip: 'containerNameTaken' }
  const volumes = missingVolumes(shape, options.sidecar, present)
  if (volumes === 'taken') return { skip: 'volumeNameTaken' }
  if (present === undefined && shape.allContainers.some(other => declaresPort(other, PORT, PORT_NAME))) {
    return { skip: 'portTaken' }
  }
  const sidecar = present === undefined ? newSidecar(shape, options) : undefined
  const elements = [
    listElement(shape, 'volumes', volumes, ({ name }) => `volume:${name}`),
    ...(sidecar === undefined ? [] : [sidecar.element]),
    ...metricsElement(shape, options.sidecar),
  ]
  const patch = withAnnotations(shape, elements)
  if (patch.length === 0) return { skip: 'alreadyInjected' }
  if (!isSound(applyAdditions(pod, patch))) return { skip: 'unsafePatch' }
  return { patch, native: sidecar?.native ?? false, warnings: sidecar?.warnings ?? [] }
}

/** By name and by what it runs: the API server and other webhooks fill in and change the rest. */
function isSidecar(container: JsonObject): boolean {
  return (
    container['name'] === CONTAINER_NAME &&
    textsField(container, 'args')[0] === 'sidecar' &&
    objectsField(container, 'ports').some(port => textField(port, 'name') === PORT_NAME)
  )
}

/** The sidecar that is there; `taken` when something else has its name. */
export function findSidecar({
  containers,
  initContainers = [],
  allContainers,
}: PodShape): JsonObject | 'taken' | undefined {
  const named = allContainers.filter(({ name }) => name === CONTAINER_NAME)
  const ours =
    containers.find(isSidecar) ??
    initContainers.find(container => isSidecar(container) && container['restartPolicy'] === 'Always')
  if (named.length === 0) return undefined
  return ours === undefined || named.length > 1 ? 'taken' : ours
}

/** For a sidecar that is there, what it mounts counts, not what a new one would. */
function missingVolumes(
  { volumes = [] }: PodShape,
  config: SidecarConfig,
  present: JsonObject | undefined,
): Volume[] | 'taken' {
  const wanted = sidecarVolumes(config)
  const existing = (name: string) => volumes.find(volume => volume['name'] === name)
  if (present !== undefined) {
    const mounted = objectsField(present, 'volumeMounts').map(mount => textField(mount, 'name'))
    return wanted.filter(({ name }) => mounted.includes(name) && existing(name) === undefined)
  }
  const isForeign = wanted.some(({ name }) => {
    const volume = existing(name)
    if (volume === undefined) return false
    return name === NO_TOKEN_VOLUME
      ? field(volume, 'emptyDir') === undefined
      : textField(field(volume, 'secret'), 'secretName') !== config.tokenSecret
  })
  return isForeign ? 'taken' : wanted.filter(({ name }) => existing(name) === undefined)
}

function newSidecar(
  shape: PodShape,
  { sidecar: config, nativeSidecars }: InjectOptions,
): { element: Element; native: boolean; warnings: readonly string[] } {
  const overrides = overridesFor(shape, config)
  const { settings, warnings } = overrides
  const native = isNative(settings, config, nativeSidecars)
  const container = sidecarContainer(config, overrides, shape, native)
  const refused = settings.native === true && !native
  return {
    element: listElement(shape, native ? 'initContainers' : 'containers', [container], () => 'container'),
    native,
    warnings: refused
      ? [...warnings, 'annotation native is ignored: the cluster is not known to have native sidecars']
      : warnings,
  }
}

/** The configuration's `true` is the administrator's word that the cluster has them; an annotation is nobody's. */
function isNative({ native }: PodSettings, config: SidecarConfig, nativeSidecars: boolean): boolean {
  return native !== false && (nativeSidecars || config.native === true)
}

function metricsElement(shape: PodShape, { runnerMetrics }: SidecarConfig): Element[] {
  const found = runnerMetrics === 'off' ? undefined : runnerMetricsVariable(shape)
  if (found === undefined) return []
  const container = shape.containers[found.index]
  const isAbsent = field(container, 'env') === undefined
  const path = `/spec/containers/${found.index}/env`
  return [
    {
      additions: [isAbsent ? add(path, [found.variable]) : add(`${path}/-`, found.variable)],
      added: [`variable:${textField(container, 'name') ?? ''}`, ...(isAbsent ? (['list:env'] as const) : [])],
    },
  ]
}

/** Appends to a list of the pod, or adds it whole where there is none: `-` needs a list, and a whole one replaces it. */
function listElement<Item extends object>(
  shape: PodShape,
  key: 'containers' | 'initContainers' | 'volumes',
  items: readonly Item[],
  nameOf: (item: Item) => Added,
): Element {
  const path = `/spec/${key}`
  const added = items.map(nameOf)
  if (items.length === 0 || shape[key] !== undefined || key === 'containers') {
    return { additions: items.map(item => add(`${path}/-`, item)), added }
  }
  return { additions: [add(path, items)], added: [...added, `list:${key}`] }
}

/** All additions; the annotations come last, and our record only when anything was added. */
function withAnnotations(shape: PodShape, elements: readonly Element[]): Addition[] {
  const { annotations } = shape
  const additions = elements.flatMap(element => element.additions)
  const added = elements.flatMap(element => element.added)
  const main = textField(mainContainer(shape), 'name')
  const entries: Record<string, string> = {}
  if (main !== undefined && field(annotations, DEFAULT_CONTAINER_ANNOTATION) === undefined) {
    entries[DEFAULT_CONTAINER_ANNOTATION] = main
    added.push('default-container')
  }
  if (added.length === 0) return []
  if (annotations === undefined) added.push('list:annotations')
  entries[INJECTED_ANNOTATION] = writeRecord(shape, added)
  if (annotations === undefined) return [...additions, add('/metadata/annotations', entries)]
  for (const [key, value] of Object.entries(entries)) {
    additions.push(add(`/metadata/annotations/${escapeKey(key)}`, value))
  }
  return additions
}

function add(path: string, value: unknown): Addition {
  return { op: 'add', path, value }
}
