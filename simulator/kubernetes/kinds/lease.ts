import { fieldErrors } from '../answers.ts'
import { asNumber, ensureRecord } from '../values.ts'
import type { Kind } from './kind.ts'
import { readMicroTime } from './micro-time.ts'

export const lease: Kind = {
  unconditionalUpdate: false,
  createOnUpdate: true,
  countsGenerations: false,
  decode: object => {
    const spec = ensureRecord(object, 'spec')
    for (const name of ['acquireTime', 'renewTime']) {
      const time = readMicroTime(spec[name], `LeaseSpec.spec.${name}`)
      if (time !== null) spec[name] = time
    }
    for (const [name, value] of Object.entries(spec)) if (value === null) Reflect.deleteProperty(spec, name)
  },
  validate: object => {
    const spec = ensureRecord(object, 'spec')
    const duration = asNumber(spec['leaseDurationSeconds'])
    const transitions = asNumber(spec['leaseTransitions'])
    return [
      ...(duration !== undefined && duration <= 0
        ? [fieldErrors.invalid('spec.leaseDurationSeconds', duration, 'must be greater than 0')]
        : []),
      ...(transitions !== undefined && transitions < 0
        ? [fieldErrors.invalid('spec.leaseTransitions', transitions, 'must be greater than or equal to 0')]
        : []),
    ]
  },
}
