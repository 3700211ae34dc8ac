import type { HttpTransport } from '../http/transport.ts'
import { withDeadline, type Clock } from '../service/clock.ts'
import { parseGitLabUrl } from './endpoints.ts'

export interface SigningKeysOptions {
  /** GitLab's root or its `/api/v4`. */
  url: string
  transport: HttpTransport
  clock: Clock
  userAgent: string
}

export interface SigningKeys {
  /**
   * GitLab's public keys, as they were last read: a JSON Web Key Set. `fresh` asks for keys that are newer than those the
   * caller knows, and is obeyed at most every half minute, so that made-up key ids cannot make us ask GitLab at will.
   * Rejects when GitLab cannot be asked and no keys are known.
   */
  read(options?: { fresh?: boolean }): Promise<KeySet>
}

export interface KeySet {
  keys: readonly Readonly<Record<string, unknown>>[]
}

const MAX_AGE_MS = 3_600_000
const MIN_AGE_MS = 30_000
const DEADLINE_MS = 5_000
const MAX_BYTES = 256 * 1024

/**
 * The keys by which GitLab signs the id_tokens of jobs, from `/oauth/discovery/keys`: no token is sent, everybody may read
 * them. Keys are kept for an hour, and longer while GitLab cannot be asked.
 */
export function createSigningKeys({ url, transport, clock, userAgent }: SigningKeysOptions): SigningKeys {
  const address = `${parseGitLabUrl(url).root}/oauth/discovery/keys`
  let known: KeySet | undefined
  let triedMs = Number.NEGATIVE_INFINITY
  let readMs = Number.NEGATIVE_INFINITY
  let reading: Promise<KeySet> | undefined
  let failure: unknown

  async function fetchKeys(): Promise<KeySet> {
    triedMs = clock.monotonicMs()
    try {
      const headers = { accept: 'application/json', 'user-agent': userAgent }
      const response = await withDeadline(clock, DEADLINE_MS, signal =>
        transport({ method: 'GET', url: address, headers, signal, maxResponseBytes: MAX_BYTES }),
      )
      if (response.status !== 200) throw new Error(`GitLab GET /oauth/discovery/keys: answered ${response.status}`)
      known = parseKeys(response.body)
      readMs = clock.monotonicMs()
      return known
    } catch (error) {
      failure = error
      throw error
    }
  }

  return {
    async read({ fresh = false } = {}) {
      const nowMs = clock.monotonicMs()
      const wanted = fresh || nowMs - readMs > MAX_AGE_MS
      if (known && !wanted) return known
      if (nowMs - triedMs < MIN_AGE_MS && !reading) {
        if (known) return known
        throw failure
      }
      reading ??= fetchKeys().finally(() => {
        reading = undefined
      })
      try {
        return await reading
      } catch (error) {
        if (known) return known
        throw error
      }
    },
  }
}

function parseKeys(body: string): KeySet {
  const wrong = new Error('GitLab GET /oauth/discovery/keys: the answer is no key set')
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    throw wrong
  }
  const keys: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'keys') : undefined
  if (!Array.isArray(keys) || !keys.every(isRecord)) throw wrong
  return { keys }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
