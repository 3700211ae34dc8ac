import fc from 'fast-check'
import { createGitLabClient } from '../../../lib/gitlab/client.ts'
import { GitLabError, type GitLabClient, type GitLabRunner, type PoolRunner } from '../../../lib/gitlab/types.ts'
import type { HttpResponse, HttpTransport } from '../../../lib/http/transport.ts'
import type { Clock } from '../../../lib/service/clock.ts'
import { createGitLab } from '../../../simulator/gitlab/core.ts'
import { createSimulatedTransport } from '../../../simulator/gitlab/transport.ts'
import { furnish, TOKENS } from '../../support/gitlab.ts'
import { replaceAt, strangeValues, type Edit } from '../../support/mutations.ts'
import type { FuzzTarget } from '../target.ts'

/** What becomes of one answer on its way; whatever is absent stays as GitLab sent it. */
interface Mishap {
  status?: number
  headers?: Readonly<Record<string, string>>
  edits?: readonly { steps: Edit['steps']; value?: unknown }[]
  /** Part of the body that is lost: from where, as a share, and how many characters. */
  cut?: { at: number; length: number }
}

interface Plan {
  call: number
  /** Of the first answers, in order. */
  mishaps: readonly (Mishap | null)[]
  /** False: GitLab serves no GraphQL, so that everything goes over REST. */
  graphql: boolean
}

/** More requests than any call needs with lists as long as they may be: fifty pages and a repetition of each. */
const MOST_REQUESTS = 300
const GROUP = 33
const PROJECT = 101
const signal = new AbortController().signal
const files = [{ branch: 'hadr/a', path: 'status.json' }]
const write = { project: PROJECT, branch: 'hadr/a', path: 'x.json', content: '{}', message: 'fuzz' }

/** Everything that the programs ask of GitLab. */
const CALLS: readonly ((client: GitLabClient) => Promise<unknown>)[] = [
  client => client.runner(1, signal),
  client => client.groupRunnerTotal(GROUP, signal),
  client => client.runnersWithManager([{ id: 1, systemId: 's_aaaaaaaaaaaa' }], signal),
  client => client.groupRunnerPage(GROUP, { description: 'a', systemId: 's', perPage: 2, via: 'graphql' }, signal),
  client => client.groupRunnerPage(GROUP, { perPage: 2, via: 'rest' }, signal),
  client => client.managers(1, signal),
  client => client.replaceTags(1, ['runner-a', 'docker'], signal),
  client => client.wake(1, false, signal),
  client => client.readPool({ group: GROUP, project: PROJECT, tags: ['runner-a', 'rnd-runner'], files }, signal),
  client => client.readPool({ runnersProject: PROJECT, project: PROJECT, tags: ['shared'], files }, signal),
  client => client.readPool({ instance: true, project: PROJECT, tags: ['shared'], files }, signal),
  client => client.replaceBranchFile({ ...write, startSha: 'a'.repeat(40) }, signal),
  client => client.createFile({ ...write, startBranch: 'main' }, signal),
  client => client.defaultBranch(PROJECT, signal),
]

const HEADERS = ['x-next-page', 'x-total', 'x-page', 'link', 'date', 'retry-after', 'ratelimit-reset', 'content-type']
const headerValues = fc.oneof(
  fc.constantFrom('', '0', '1', '2', '-1', '1e9', '99999999999999999999', 'NaN', 'Sat, 21 Nov 2026 25:61:00 GMT'),
  fc.string({ maxLength: 20 }),
)
const mishap = fc.record(
  {
    status: fc.constantFrom(200, 201, 204, 206, 301, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 599),
    headers: fc.dictionary(fc.constantFrom(...HEADERS), headerValues, { maxKeys: 3 }),
    edits: fc.array(
      fc.record(
        {
          steps: fc.array(fc.noBias(fc.nat()), { minLength: 1, maxLength: 8 }),
          value: fc.oneof(strangeValues, fc.constantFrom('gid://gitlab/Ci::Runner/1', TOKENS.admin, 1e300, -1)),
        },
        { requiredKeys: ['steps'] },
      ),
      { maxLength: 3 },
    ),
    cut: fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), length: fc.nat({ max: 300 }) }),
  },
  { requiredKeys: [] },
)

/**
 * Answers of GitLab, or of a proxy before it, to every call that the programs make: REST and GraphQL, their statuses,
 * headers, lists and pages. A call ends with a value of the promised shape or with a GitLabError, after a bounded number
 * of requests, and no error tells the token.
 */
export const gitlab: FuzzTarget = {
  name: 'gitlab',
  input: fc
    .record({
      call: fc.nat({ max: CALLS.length - 1 }),
      mishaps: fc.array(fc.option(mishap), { minLength: 1, maxLength: 4 }),
      graphql: fc.boolean(),
    })
    .map(plan => JSON.stringify(plan)),
  check: async input => {
    const { call, mishaps, graphql } = JSON.parse(input) as Plan
    const clock = instantClock()
    const core = createGitLab({ clock, random: () => 0.5, graphql })
    furnish(core.state)
    let requests = 0
    const honest = createSimulatedTransport(core, { clock })
    const transport: HttpTransport = async request => {
      if (++requests > MOST_REQUESTS) throw new Error(`more than ${MOST_REQUESTS} requests`)
      const answer = await honest(request)
      return damaged(answer, mishaps[requests - 1] ?? undefined)
    }
    const token = () => Promise.resolve(TOKENS.admin)
    const client = createGitLabClient({ url: 'https://gitlab.example.com', transport, token, clock, random: () => 0.5 })
    try {
      const value = await CALLS[call % CALLS.length]?.(client)
      checkValue(value)
      return 'value'
    } catch (error) {
      if (!(error instanceof GitLabError)) throw error
      if (requests > MOST_REQUESTS) throw new Error('it asks for ever', { cause: error })
      if (error.message.includes(TOKENS.admin)) throw new Error('the error tells the token', { cause: error })
      return error.kind
    } finally {
      core.close()
    }
  },
}

function damaged(answer: HttpResponse, { status, headers, edits = [], cut }: Mishap = {}): HttpResponse {
  let { body } = answer
  if (edits.length > 0) {
    const json = JSON.parse(body === '' ? 'null' : body) as unknown
    const edited = edits.reduce((value, edit) => replaceAt(value, edit.steps, edit.value), json)
    body = edited === undefined ? '' : JSON.stringify(edited)
  }
  if (cut !== undefined) {
    const at = Math.floor(cut.at * body.length)
    body = body.slice(0, at) + body.slice(at + cut.length)
  }
  return { status: status ?? answer.status, headers: { ...answer.headers, ...headers }, body }
}

/** What callers rely on without looking: numbers that are ids, lists of texts, times that are numbers. */
function checkValue(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  const { runners, id } = value as { runners?: readonly PoolRunner[]; id?: unknown }
  const all = [...(runners ?? []), ...(typeof id === 'number' ? [value as GitLabRunner] : [])]
  for (const runner of all as Partial<GitLabRunner>[]) {
    if (!Number.isSafeInteger(runner.id)) throw new Error(`an id of ${String(runner.id)}`)
    if (runner.tags !== undefined && !runner.tags.every(tag => typeof tag === 'string'))
      throw new Error('a tag that is no text')
    if (typeof runner.contactedAtMs === 'number' && !Number.isFinite(runner.contactedAtMs))
      throw new Error('a contact at no time')
  }
}

/** Waits take no time, and no deadline ever passes. */
function instantClock(): Clock {
  let nowMs = Date.parse('2026-11-21T12:00:00Z')
  return {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    sleep: ms => {
      nowMs += ms
      return Promise.resolve()
    },
    after: () => () => undefined,
  }
}
