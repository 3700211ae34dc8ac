import type { Clock, Random } from '../../lib/service/clock.ts'
import type { HttpTransport } from '../../lib/http/transport.ts'

/** What a command for people needs of the world around it. */
export interface Terminal {
  env: Readonly<Record<string, string | undefined>>
  clock: Clock
  random: Random
  /** Results; what a script reads. */
  out: (text: string) => void
  /** Progress, warnings and mistakes. */
  err: (text: string) => void
  /** Whether `out` shows text to a person, who can see it redrawn. */
  isTerminal: boolean
  /** Aborts with Ctrl-C. */
  signal: AbortSignal
  /** Talks to GitLab; `caFile` as the options say. */
  openTransport: (caFile: string | undefined) => Promise<HttpTransport>
}

/** The command cannot go on: what to say, and the exit code for it. */
export class Stop extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message)
  }
}
