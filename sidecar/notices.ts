import type { Log } from '../lib/service/log.ts'

/** Says a thing when it changes, and not again with every look at it. */
export type Notices = (
  topic: string,
  /** What the topic is now; nothing is logged while it stays the same. */
  state: string,
  level: 'debug' | 'info' | 'warn' | 'error',
  fields: object,
  message: string,
) => void

/** Topics are remembered for ever, so the callers use words of the code and this pod's few runner ids for them. */
export function createNotices(log: Log): Notices {
  const last = new Map<string, string>()
  return (topic, state, level, fields, message) => {
    if (last.get(topic) === state) return
    last.set(topic, state)
    log[level](fields, message)
  }
}
