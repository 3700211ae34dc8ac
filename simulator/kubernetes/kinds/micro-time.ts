import { DecodeError } from './kind.ts'
import { goTypeOf } from '../values.ts'

const LAYOUT = '2006-01-02T15:04:05.000000Z07:00'

/** A MicroTime as the server takes it: exactly six decimals and a zone. Returns it in UTC; null stays null. */
export function readMicroTime(value: unknown, goField: string): string | null {
  if (value === null || value === undefined) return null
  if (typeof value !== 'string') {
    throw new DecodeError(`json: cannot unmarshal ${goTypeOf(value)} into Go struct field ${goField} of type string`)
  }
  const fail = (rest: string, layout: string) =>
    new DecodeError(
      `parsing time ${JSON.stringify(value)} as "${LAYOUT}": cannot parse ${JSON.stringify(rest)} as "${layout}"`,
    )
  const [seconds] = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.exec(value) ?? []
  if (seconds === undefined) throw fail(value, '2006')
  const afterSeconds = value.slice(seconds.length)
  const [decimals] = /^\.\d{6}/.exec(afterSeconds) ?? []
  if (decimals === undefined) throw fail(afterSeconds, '.000000')
  const zone = afterSeconds.slice(decimals.length)
  if (!/^(Z|[+-]\d\d:\d\d)$/.test(zone)) throw fail(zone, 'Z07:00')
  const utc = new Date(`${seconds}${zone}`).toISOString().slice(0, 19)
  return `${utc}${decimals}Z`
}
