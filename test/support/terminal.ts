import type { Terminal } from '../../cli/steering/terminal.ts'
import type { HttpTransport } from '../../lib/http/transport.ts'
import { systemClock, type Clock } from '../../lib/service/clock.ts'

export interface TestTerminal extends Terminal {
  /** What was written so far. */
  readonly stdout: string
  readonly stderr: string
  interrupt(): void
}

/** A terminal whose writings a test can read. */
export function createTestTerminal(options: {
  env?: Record<string, string>
  clock?: Clock
  transport: HttpTransport
  isTerminal?: boolean
  onWrite?: (text: string) => void
}): TestTerminal {
  const { env = {}, clock = systemClock, transport, isTerminal = false, onWrite } = options
  const interrupted = new AbortController()
  let stdout = ''
  let stderr = ''
  return {
    env,
    clock,
    random: () => 0.5,
    out: text => {
      stdout += text
      onWrite?.(text)
    },
    err: text => {
      stderr += text
      onWrite?.(text)
    },
    isTerminal,
    signal: interrupted.signal,
    openTransport: () => Promise.resolve(transport),
    interrupt: () => interrupted.abort(new Error('interrupted')),
    get stdout() {
      return stdout
    },
    get stderr() {
      return stderr
    },
  }
}
