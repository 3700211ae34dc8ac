import { ensureRecord, metadataOf, nameOf, setDefault } from '../values.ts'
import type { Kind } from './kind.ts'

export const namespace: Kind = {
  unconditionalUpdate: true,
  createOnUpdate: false,
  countsGenerations: false,
  decode: object => {
    ensureRecord(metadataOf(object), 'labels')['kubernetes.io/metadata.name'] = nameOf(object)
    setDefault(object, 'spec', { finalizers: ['kubernetes'] })
    setDefault(object, 'status', { phase: 'Active' })
  },
  validate: () => [],
}
