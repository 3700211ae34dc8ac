import type { Kind } from './kind.ts'

/** Kinds that are stored and read as they are, such as ConfigMaps, quotas and roles. Nothing is enforced. */
export const plain: Kind = {
  unconditionalUpdate: true,
  createOnUpdate: false,
  countsGenerations: false,
  decode: () => undefined,
  validate: () => [],
}
