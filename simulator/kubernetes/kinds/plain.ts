import type { Kind } from './kind.ts'

/** Kinds that are stored and read as they are: ConfigMaps, Services, ResourceQuotas, LimitRanges and autoscalers. Nothing
 * is enforced. */
export const plain: Kind = {
  unconditionalUpdate: true,
  createOnUpdate: false,
  countsGenerations: false,
  decode: () => undefined,
  validate: () => [],
}
