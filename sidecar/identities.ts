import { GitLabError, type GitLabClient } from '../lib/gitlab/types.ts'
import type { Clock, Random } from '../lib/service/clock.ts'
import { closesGraphql, search, type SearchState } from './discovery.ts'
import type { Wanted } from './match.ts'
import type { Notices } from './notices.ts'
import type { SidecarTiming } from './timing.ts'

/** Who a `[[runners]]` entry is in GitLab, and what GitLab says of it. */
export interface Identity {
  /** The entry, or undefined when a runner id was given: it may then be any entry of the process. */
  shortToken: string | undefined
  systemId: string
  runnerId: number | undefined
  /** `missing`: GitLab was asked, answered, and does not have it. `unsettled`: the search has no result yet. */
  state: 'known' | 'missing' | 'unsettled'
  /** GitLab's word while it is recent. `online` is undefined when GitLab knows the runner, but not this process. */
  word: { online: boolean | undefined; paused: boolean } | undefined
}

export interface Identities {
  /** Finds missing ids and asks for the words: one request in steady state. Rejects with GitLabError. */
  refresh(entries: readonly Wanted[], signal: AbortSignal): Promise<void>
  view(entries: readonly Wanted[], maxAgeMs: number): readonly Identity[]
  /** True when every runner's id was known at the last refresh. */
  allKnown(): boolean
  /** Forgets what a former token could not see. */
  reconsider(): void
}

interface Word {
  online: boolean | undefined
  paused: boolean
  atMs: number
}

interface Subject {
  shortToken: string | undefined
  systemId: string
  runnerId: number | undefined
}

/** A search that found nothing is repeated after 1, 2, 4 … of the check interval, at most 32. */
const LONGEST_BACKOFF = 32
/** After so many checks GraphQL is tried again: it may have been a passing trouble. */
const CHECKS_WITHOUT_GRAPHQL = 60
/** More entries than any runner has; bounds what is remembered of entries that came and went. */
const MAX_REMEMBERED = 64

export interface IdentitiesOptions {
  /** Undefined where no GitLab was named: then nothing is asked. */
  client: GitLabClient | undefined
  group: string | undefined
  /** Runners that were named by the user; makes searching unnecessary. */
  runnerIds: readonly number[]
  /** What the description of a runner with a registration token may be. */
  names: readonly string[]
  perPage: number
  clock: Clock
  random: Random
  notices: Notices
  timing: SidecarTiming
}

export function createIdentities(deps: IdentitiesOptions): Identities {
  const { group, runnerIds, clock, random, notices, timing } = deps
  const found = new Map<string, number>()
  const words = new Map<number, Word>()
  const gone = new Set<number>()
  let missing = new Set<string>()
  let pending: { key: string; state: SearchState } | undefined
  let retry = { atMs: 0, factor: 1, key: '' }
  const access = { open: true }
  let closedAtMs = 0
  let turn = 0
  let known = false

  function subjectsOf(entries: readonly Wanted[]): readonly Subject[] {
    if (runnerIds.length > 0) {
      const systemId = entries.find(entry => entry.systemId !== '')?.systemId ?? ''
      return runnerIds.map(runnerId => ({ shortToken: undefined, systemId, runnerId }))
    }
    return orNameless(entries).map(entry => ({ ...entry, runnerId: found.get(entry.shortToken) }))
  }

  async function discover(entries: readonly Wanted[], signal: AbortSignal): Promise<void> {
    const { client } = deps
    if (client === undefined || group === undefined) return
    const wanted = orNameless(entries).filter(entry => !found.has(entry.shortToken))
    const key = wanted.map(entry => `${entry.shortToken}/${entry.systemId}`).join(' ')
    if (wanted.length === 0 || (key === retry.key && clock.monotonicMs() < retry.atMs)) return
    const from = pending?.key === key ? pending.state : undefined
    const result = await search({ ...deps, client, group, access }, wanted, from, signal)
    pending = result.unfinished === undefined ? undefined : { key, state: result.unfinished }
    if (found.size + result.found.size > MAX_REMEMBERED) found.clear()
    for (const [shortToken, id] of result.found) found.set(shortToken, id)
    if (pending !== undefined) return
    const absent = wanted.filter(entry => !found.has(entry.shortToken))
    missing = new Set(absent.map(entry => entry.shortToken))
    const factor = key === retry.key ? Math.min(2 * retry.factor, LONGEST_BACKOFF) : 1
    retry = { key, factor, atMs: clock.monotonicMs() + factor * timing.statusCheckMs * (1 + 0.5 * random()) }
    noticeSearch(absent.length, Object.fromEntries(result.found))
  }

  function noticeSearch(absent: number, ids: Readonly<Record<string, number>>): void {
    const fields = { group, names: deps.names, found: ids }
    if (absent === 0) {
      notices('search', JSON.stringify(ids), 'info', fields, 'found this runner in GitLab')
    } else {
      const mend = 'check --gitlab-group-id and what the token can see, or give --runner-id'
      notices('search', 'missing', 'warn', { ...fields, absent, mend }, 'GitLab has no runner that is this one')
    }
  }

  async function askWords(subjects: readonly Subject[], signal: AbortSignal): Promise<void> {
    const asked = subjects.flatMap(({ runnerId, systemId }) =>
      runnerId === undefined ? [] : [{ id: runnerId, systemId }],
    )
    const { client } = deps
    if (client === undefined || asked.length === 0) return
    if (access.open && asked.every(({ systemId }) => systemId !== '')) {
      try {
        await askAll(client, asked, signal)
        return
      } catch (error) {
        if (!closesGraphql(error)) throw error
        access.open = false
        const fields = { problem: error.message }
        notices('graphql', 'closed', 'info', fields, 'GraphQL is closed to this token; asking for one runner per check')
        // A second request is for the start only; later it would break the budget for a word that is still known.
        if (words.size > 0) return
      }
    }
    const one = asked[turn % asked.length]
    turn += 1
    if (one !== undefined) await askOne(client, one.id, signal)
  }

  async function askAll(
    client: GitLabClient,
    asked: readonly { id: number; systemId: string }[],
    signal: AbortSignal,
  ): Promise<void> {
    const answers = await client.runnersWithManager(asked, signal)
    for (const [index, { id, systemId }] of asked.entries()) {
      const answer = answers[index]
      if (answer === null || answer === undefined) {
        forget(id)
        continue
      }
      const served = answer.manager !== null
      const fields = { runnerId: id, systemId, ...(served ? {} : { mend: 'check --runner-id, if it was given' }) }
      const message = served ? 'GitLab knows this process' : 'GitLab does not know this process of the runner'
      notices(`process of ${id}`, String(served), served ? 'debug' : 'warn', fields, message)
      remember(id, { online: answer.manager?.online, paused: answer.runner.paused })
    }
  }

  async function askOne(client: GitLabClient, id: number, signal: AbortSignal): Promise<void> {
    try {
      const { online, paused } = await client.runner(id, signal)
      // GitLab's null says that the runner never made contact, which is a way of not being online.
      remember(id, { online: online ?? false, paused })
    } catch (error) {
      if (!(error instanceof GitLabError) || error.kind !== 'not_found') throw error
      forget(id)
    }
  }

  function remember(id: number, word: { online: boolean | undefined; paused: boolean }): void {
    words.set(id, { ...word, atMs: clock.monotonicMs() })
    if (gone.delete(id)) notices(`runner ${id}`, 'back', 'info', { runnerId: id }, 'GitLab has the runner again')
  }

  /** The runner is gone, or the token lost sight of it. A search decides, unless the user named the runner. */
  function forget(id: number): void {
    words.delete(id)
    if (runnerIds.includes(id)) {
      gone.add(id)
      notices(`runner ${id}`, 'gone', 'warn', { runnerId: id, mend: 'check --runner-id' }, 'GitLab has no such runner')
    }
    for (const [shortToken, runnerId] of found) if (runnerId === id) found.delete(shortToken)
    retry = { atMs: 0, factor: 1, key: '' }
  }

  return {
    refresh: async (entries, signal) => {
      if (access.open) closedAtMs = clock.monotonicMs()
      else if (clock.monotonicMs() - closedAtMs > CHECKS_WITHOUT_GRAPHQL * timing.statusCheckMs) access.open = true
      if (runnerIds.length === 0) await discover(entries, signal)
      const subjects = subjectsOf(entries)
      known = subjects.every(({ runnerId }) => runnerId !== undefined)
      await askWords(subjects, signal)
    },
    view: (entries, maxAgeMs) => {
      const subjects = subjectsOf(entries)
      // Without GraphQL the runners take turns, and the words live longer by as many checks.
      const lifeMs = access.open ? maxAgeMs : maxAgeMs + (subjects.length - 1) * timing.statusCheckMs
      return subjects.map(subject => {
        const word = subject.runnerId === undefined ? undefined : words.get(subject.runnerId)
        const recent = word !== undefined && clock.monotonicMs() - word.atMs <= lifeMs
        return {
          ...subject,
          state: stateOf(subject, missing, gone),
          word: recent ? { online: word.online, paused: word.paused } : undefined,
        }
      })
    },
    allKnown: () => known,
    reconsider: () => {
      access.open = true
      retry = { atMs: 0, factor: 1, key: '' }
    },
  }
}

/** With no entry known the pod's name is all that is left to search by. */
function orNameless(entries: readonly Wanted[]): readonly Wanted[] {
  return entries.length > 0 ? entries : [{ shortToken: '', systemId: '' }]
}

function stateOf(
  { shortToken, runnerId }: Subject,
  missing: ReadonlySet<string>,
  gone: ReadonlySet<number>,
): Identity['state'] {
  if (runnerId !== undefined) return gone.has(runnerId) ? 'missing' : 'known'
  return missing.has(shortToken ?? '') ? 'missing' : 'unsettled'
}
