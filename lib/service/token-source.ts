import { readFile, stat } from 'node:fs/promises'
import type { Log } from './log.ts'

/** GitLab's tokens have tens of characters; a longer file is some other file. */
const MAX_TOKEN_BYTES = 4096

/** What is known of the token right now. `problem` is for people and never holds the token. */
export type TokenReading = { token: string } | { token: undefined; problem?: string }

export interface TokenSource {
  /** Never rejects. Looks at the file again on each call, so that a rotated token is used without a restart. */
  read(): Promise<TokenReading>
  /** The token alone, for a client; undefined when there is none. */
  token(): Promise<string | undefined>
}

export interface TokenSourceOptions {
  /** Read again when it changes; wins over `value`. Kubernetes replaces a Secret's file by swapping a symbolic link. */
  file?: string
  /** A token that was given directly, by environment or argument. */
  value?: string
  log: Log
}

/**
 * Where a program gets its GitLab token. Neither a file nor a value is a proper choice: then there is no token and no
 * problem. A file that was read once and is unreadable now keeps its last token, because a Secret is briefly absent
 * while it is replaced; a change of the outcome is logged once.
 */
export function createTokenSource({ file, value, log }: TokenSourceOptions): TokenSource {
  if (file === undefined) return fixedToken(value)
  let seen: { identity: string; token: string } | undefined
  let lastProblem: string | undefined

  async function read(path: string): Promise<TokenReading> {
    try {
      const { size, mtimeMs, ino } = await stat(path)
      const identity = `${ino}:${mtimeMs}:${size}`
      if (seen?.identity === identity) return solved(seen.token)
      if (size > MAX_TOKEN_BYTES) return failed(`${path} is larger than ${MAX_TOKEN_BYTES} bytes: not a token file`)
      const token = (await readFile(path, 'utf8')).trim()
      const flaw = tokenFlaw(token)
      if (flaw !== undefined) return failed(`${path} ${flaw}`)
      if (seen !== undefined && seen.token !== token) log.info({ path }, 'the GitLab token changed')
      seen = { identity, token }
      return solved(token)
    } catch (error) {
      return failed(`${path} cannot be read (${errorCode(error)})`)
    }
  }

  function solved(token: string): TokenReading {
    if (lastProblem !== undefined) log.info({ path: file }, 'the GitLab token can be read again')
    lastProblem = undefined
    return { token }
  }

  function failed(problem: string): TokenReading {
    if (problem !== lastProblem) log.warn({ problem, keepsLast: seen !== undefined }, 'the GitLab token cannot be used')
    lastProblem = problem
    return seen === undefined ? { token: undefined, problem } : { token: seen.token }
  }

  return { read: () => read(file), token: async () => (await read(file)).token }
}

function fixedToken(value: string | undefined): TokenSource {
  const token = value?.trim()
  const flaw = token === undefined || token === '' ? undefined : tokenFlaw(token)
  let reading: TokenReading = { token: undefined }
  if (flaw !== undefined) reading = { token: undefined, problem: `the given token ${flaw}` }
  else if (token !== undefined && token !== '') reading = { token }
  return { read: () => Promise.resolve(reading), token: () => Promise.resolve(reading.token) }
}

/** A token becomes a header's value, so that a control character or a blank in it could smuggle another header. */
function tokenFlaw(token: string): string | undefined {
  if (token === '') return 'is empty'
  return /^[\x21-\x7e]+$/.test(token) ? undefined : 'holds characters that no GitLab token has'
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'
}
