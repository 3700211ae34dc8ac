import {
  asRecord,
  asString,
  dropEmpty,
  ensureRecord,
  isRecord,
  metadataOf,
  records,
  setDefault,
  type KubeObject,
} from '../values.ts'
import type { Kind } from './kind.ts'
import { checkTypes, CONTAINER_LISTS, dropUnknownFields } from './pod-fields.ts'
import { podErrors, podWarnings } from './pod-validation.ts'
import { normalQuantity } from './quantity.ts'

export const pod: Kind = {
  unconditionalUpdate: true,
  createOnUpdate: false,
  countsGenerations: true,
  decode: object => {
    checkTypes(object)
    dropUnknownFields(object)
    dropEmpty(metadataOf(object), ['labels', 'annotations'])
    const spec = ensureRecord(object, 'spec')
    dropEmpty(spec, ['volumes', 'initContainers', 'ephemeralContainers'])
    setDefault(spec, 'restartPolicy', 'Always')
    setDefault(spec, 'terminationGracePeriodSeconds', 30)
    setDefault(spec, 'dnsPolicy', 'ClusterFirst')
    setDefault(spec, 'securityContext', {})
    setDefault(spec, 'schedulerName', 'default-scheduler')
    setDefault(spec, 'enableServiceLinks', true)
    for (const volume of records(spec['volumes'])) defaultVolume(volume)
    for (const list of CONTAINER_LISTS) {
      for (const container of records(spec[list])) defaultContainer(container, spec['hostNetwork'] === true)
    }
    setDefault(object, 'status', {})
  },
  validate: (object, old) => podErrors(object, old),
  warnings: podWarnings,
}

function defaultContainer(container: KubeObject, hostNetwork: boolean): void {
  const image = asString(container['image']) ?? ''
  const tag = /:([^/:@]+)$/.exec(image)?.[1]
  const floating = image !== '' && !image.includes('@') && (tag === undefined || tag === 'latest')
  setDefault(container, 'resources', {})
  setDefault(container, 'terminationMessagePath', '/dev/termination-log')
  setDefault(container, 'terminationMessagePolicy', 'File')
  setDefault(container, 'imagePullPolicy', floating ? 'Always' : 'IfNotPresent')
  for (const port of records(container['ports'])) {
    setDefault(port, 'protocol', 'TCP')
    if (hostNetwork) setDefault(port, 'hostPort', port['containerPort'])
  }
  for (const variable of records(container['env'])) {
    const field = asRecord(asRecord(variable['valueFrom'])?.['fieldRef'])
    if (field) setDefault(field, 'apiVersion', 'v1')
  }
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = asRecord(container[name])
    if (probe) defaultProbe(probe)
  }
  defaultResources(ensureRecord(container, 'resources'))
  dropEmpty(container, ['ports', 'env', 'volumeMounts', 'command', 'args'])
}

function defaultProbe(probe: KubeObject): void {
  setDefault(probe, 'timeoutSeconds', 1)
  setDefault(probe, 'periodSeconds', 10)
  setDefault(probe, 'successThreshold', 1)
  setDefault(probe, 'failureThreshold', 3)
  const get = asRecord(probe['httpGet'])
  if (get) {
    setDefault(get, 'path', '/')
    setDefault(get, 'scheme', 'HTTP')
  }
}

function defaultResources(resources: KubeObject): void {
  for (const name of ['limits', 'requests']) {
    const amounts = asRecord(resources[name])
    for (const [unit, amount] of Object.entries(amounts ?? {})) if (amounts) amounts[unit] = normalQuantity(amount)
  }
  const limits = asRecord(resources['limits'])
  if (!limits) return
  const requests = ensureRecord(resources, 'requests')
  for (const [unit, amount] of Object.entries(limits)) setDefault(requests, unit, amount)
}

function defaultVolume(volume: KubeObject): void {
  const { name, ...sources } = volume
  if (Object.values(sources).every(source => source === undefined)) volume['emptyDir'] = {}
  for (const kind of ['secret', 'configMap', 'projected', 'downwardAPI']) {
    const source = asRecord(volume[kind])
    if (!source) continue
    setDefault(source, 'defaultMode', 0o644)
    if (kind === 'projected') for (const part of records(source['sources'])) defaultProjection(part)
  }
  setDefault(volume, 'name', name)
}

function defaultProjection(part: KubeObject): void {
  const token = asRecord(part['serviceAccountToken'])
  if (token) setDefault(token, 'expirationSeconds', 3600)
  for (const item of records(asRecord(part['downwardAPI'])?.['items'])) {
    if (isRecord(item['fieldRef'])) setDefault(item['fieldRef'], 'apiVersion', 'v1')
  }
}

/** Best effort, Burstable or Guaranteed, by the resources of all containers. */
export function qosClass(object: KubeObject): string {
  const spec = asRecord(object['spec']) ?? {}
  const all = [...records(spec['containers']), ...records(spec['initContainers'])].map(
    container => asRecord(container['resources']) ?? {},
  )
  const amounts = (resources: KubeObject, name: string) => asRecord(resources[name]) ?? {}
  const guaranteed = all.every(resources =>
    ['cpu', 'memory'].every(unit => {
      const limit = amounts(resources, 'limits')[unit]
      return limit !== undefined && (amounts(resources, 'requests')[unit] ?? limit) === limit
    }),
  )
  if (guaranteed && all.length > 0) return 'Guaranteed'
  const none = all.every(
    resources => Object.keys({ ...amounts(resources, 'limits'), ...amounts(resources, 'requests') }).length === 0,
  )
  return none ? 'BestEffort' : 'Burstable'
}
