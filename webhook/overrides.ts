import { nearMiss } from '../lib/service/near-miss.ts'
import { isGroupId, type Resources, type SidecarConfig } from './config.ts'
import { field, textField } from './json.ts'
import { ANNOTATION_PREFIX, INJECT_LABEL, INJECTED_ANNOTATION } from './names.ts'
import { parseQuantity } from './quantity.ts'
import type { PodShape } from './shape.ts'

/** The configuration for one pod: what its annotations may change, changed. Never the image, a URL or a Secret. */
export interface PodSettings {
  groupId: string | undefined
  runnerIds: string | undefined
  statusCheckSeconds: string | undefined
  native: SidecarConfig['native']
  resources: Resources
}

export interface Overrides {
  settings: PodSettings
  /** Whether the settings are other than the configuration's. */
  changed: boolean
  /** What was ignored, for the user; never with the value. */
  warnings: readonly string[]
}

type Reader = (value: string, settings: PodSettings) => PodSettings | undefined

const ID_LIST = /^[1-9]\d{0,14}(?:,[1-9]\d{0,14}){0,19}$/

/** Each annotation's reader gives undefined for a value that is wrong. Named like the sidecar's flags where it has one. */
const READERS: Readonly<Record<string, { rule: string; read: Reader }>> = {
  'gitlab-group-id': {
    rule: "a group's number or full path",
    read: (value, settings) => (isGroupId(value) ? { ...settings, groupId: value } : undefined),
  },
  'runner-id': {
    rule: 'numbers, separated by commas',
    read: (value, settings) => (ID_LIST.test(value) ? { ...settings, runnerIds: value } : undefined),
  },
  'status-check-interval': {
    rule: 'seconds from 1 to 3600',
    read: (value, settings) =>
      /^[1-9]\d{0,3}$/.test(value) && Number(value) <= 3600 ? { ...settings, statusCheckSeconds: value } : undefined,
  },
  native: {
    rule: 'true or false',
    read: (value, settings) => (/^(?:true|false)$/.test(value) ? { ...settings, native: value === 'true' } : undefined),
  },
  'cpu-request': amount('requests', 'cpu'),
  'cpu-limit': amount('limits', 'cpu'),
  'memory-request': amount('requests', 'memory'),
  'memory-limit': amount('limits', 'memory'),
}

/** Reads a pod's annotations; a wrong value is ignored with a warning, since a typing error must not cost the sidecar. */
export function overridesFor({ labels, annotations = {} }: PodShape, config: SidecarConfig): Overrides {
  const warnings = labelWarnings(labels)
  const unchanged: PodSettings = {
    groupId: config.gitlabGroupId === undefined ? undefined : String(config.gitlabGroupId),
    runnerIds: undefined,
    statusCheckSeconds: undefined,
    native: config.native,
    resources: config.resources,
  }
  let settings = unchanged
  for (const key of Object.keys(annotations)) {
    if (!key.startsWith(ANNOTATION_PREFIX) || key === INJECTED_ANNOTATION) continue
    const name = key.slice(ANNOTATION_PREFIX.length)
    const reader = Object.hasOwn(READERS, name) ? READERS[name] : undefined
    if (reader === undefined) {
      const near = nearMiss(name, Object.keys(READERS))
      warnings.push(`annotation ${key.slice(0, 60)} is unknown${near === undefined ? '' : `; did you mean ${near}?`}`)
      continue
    }
    const changed = reader.read((textField(annotations, key) ?? '').trim(), settings)
    if (changed === undefined) warnings.push(`annotation ${key} is ignored: it must be ${reader.rule}`)
    else settings = changed
  }
  if (settings === unchanged) return { settings, changed: false, warnings }
  const wrong = (['cpu', 'memory'] as const).filter(name => !fits(settings.resources, name))
  if (wrong.length === 0) return { settings, changed: true, warnings }
  warnings.push(`${wrong.join(' and ')} annotations are ignored: a request is above its limit`)
  return { settings: { ...settings, resources: config.resources }, changed: true, warnings }
}

function labelWarnings(labels: PodShape['labels']): string[] {
  const value = field(labels, INJECT_LABEL)
  return value === undefined || value === 'enabled'
    ? []
    : [`label ${INJECT_LABEL} is ignored: it must be enabled or disabled`]
}

function amount(kind: 'requests' | 'limits', name: 'cpu' | 'memory'): { rule: string; read: Reader } {
  return {
    rule: name === 'cpu' ? 'an amount such as 100m' : 'an amount such as 64Mi',
    read: (value, settings) => {
      const pattern = name === 'cpu' ? /^\d{1,3}(?:\.\d{1,3})?$|^\d{1,6}m$/ : /^\d{1,6}[KMG]i?$/
      if (!pattern.test(value) || parseQuantity(value) === 0) return undefined
      const { resources } = settings
      return { ...settings, resources: { ...resources, [kind]: { ...resources[kind], [name]: value } } }
    },
  }
}

function fits({ requests, limits }: Resources, name: 'cpu' | 'memory'): boolean {
  return (parseQuantity(requests[name]) ?? Infinity) <= (parseQuantity(limits[name]) ?? 0)
}
