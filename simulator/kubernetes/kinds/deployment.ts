import { fieldErrors } from '../answers.ts'
import {
  asNumber,
  asRecord,
  asString,
  ensureRecord,
  goTypeOf,
  metadataOf,
  setDefault,
  type KubeObject,
} from '../values.ts'
import { DecodeError, type Kind } from './kind.ts'

export const deployment: Kind = {
  unconditionalUpdate: true,
  createOnUpdate: false,
  countsGenerations: true,
  decode: object => {
    const spec = ensureRecord(object, 'spec')
    setDefault(spec, 'replicas', 1)
    setDefault(spec, 'strategy', { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } })
    setDefault(spec, 'revisionHistoryLimit', 10)
    setDefault(spec, 'progressDeadlineSeconds', 600)
    setDefault(object, 'status', {})
  },
  validate: object => {
    const replicas = asNumber(ensureRecord(object, 'spec')['replicas']) ?? 0
    return replicas < 0 ? [fieldErrors.invalid('spec.replicas', replicas, 'must be greater than or equal to 0')] : []
  },
}

/** As far as a reader of replicas and rollouts can tell. */
export const statefulSet: Kind = {
  ...deployment,
  decode: object => {
    const spec = ensureRecord(object, 'spec')
    setDefault(spec, 'replicas', 1)
    setDefault(spec, 'podManagementPolicy', 'OrderedReady')
    setDefault(spec, 'updateStrategy', { type: 'RollingUpdate', rollingUpdate: { partition: 0 } })
    setDefault(spec, 'revisionHistoryLimit', 10)
    setDefault(object, 'status', { replicas: 0 })
  },
}

/** The `scale` subresource; `spec` is empty when no replicas are wanted, because the field is left out at zero. */
export function scaleOf(object: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadataOf(object)
  const wanted = asNumber(asRecord(object['spec'])?.['replicas']) ?? 0
  const matchLabels = asRecord(asRecord(asRecord(object['spec'])?.['selector'])?.['matchLabels']) ?? {}
  const selector = Object.entries(matchLabels).map(([label, value]) => `${label}=${asString(value) ?? ''}`)
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: wanted === 0 ? {} : { replicas: wanted },
    status: {
      replicas: asNumber(asRecord(object['status'])?.['replicas']) ?? 0,
      selector: selector.sort().join(','),
    },
  }
}

/** The deployment with the replicas that a Scale asks for. */
export function withScale(object: KubeObject, scale: KubeObject): KubeObject {
  const replicas = asRecord(scale['spec'])?.['replicas'] ?? 0
  if (typeof replicas !== 'number') {
    throw new DecodeError(
      `json: cannot unmarshal ${goTypeOf(replicas)} into Go struct field ScaleSpec.spec.replicas of type int32`,
    )
  }
  ensureRecord(object, 'spec')['replicas'] = replicas
  return object
}

export const SCALE = { group: 'autoscaling', kind: 'Scale' } as const
