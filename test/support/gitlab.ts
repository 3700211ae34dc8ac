import { createGitLab, type GitLabCore, type GitLabOptions } from '../../simulator/gitlab/core.ts'
import { startGitLab } from '../../simulator/gitlab/server.ts'
import type { GitLabState } from '../../simulator/gitlab/state.ts'
import { createManualClock } from './manual-clock.ts'

export interface Reply {
  status: number
  headers: Readonly<Record<string, string>>
  text: string
  /** The body as JSON; undefined when it is none. */
  json: unknown
}

export interface Send {
  token?: string
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

/** Asks a GitLab over a socket; `path` begins below `/api/v4`, or with `/api/`. */
export function caller(url: string) {
  return async (method: string, path: string, { token, body, headers, signal }: Send = {}): Promise<Reply> => {
    const response = await fetch(`${url}${path.startsWith('/api/') ? path : `/api/v4${path}`}`, {
      method,
      headers: requestHeaders(token, body, headers),
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal && { signal }),
    })
    return reply(response.status, Object.fromEntries(response.headers), await response.text())
  }
}

/** The same without a socket, for tests on a manual clock. */
export function coreCaller(core: GitLabCore) {
  return async (method: string, path: string, { token, body, headers, signal }: Send = {}): Promise<Reply> => {
    const answer = await core.handle({
      method,
      path: path.startsWith('/api/') ? path : `/api/v4${path}`,
      headers: requestHeaders(token, body, headers),
      body: body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body),
      ...(signal && { signal }),
    })
    return reply(answer.status, answer.headers, answer.body)
  }
}

export const TOKENS = {
  owner: 'glpat-owner',
  maintainer: 'glpat-maintainer',
  reporter: 'glpat-reporter',
  stranger: 'glpat-stranger',
  manager: 'glpat-manager',
  reader: 'glpat-reader',
  admin: 'glpat-admin',
} as const

/**
 * Group 33 `acme/ci` below 30 `acme`, beside 34 `acme/other`; project 101 `acme/ci/hadr`; tokens of every role; runner 1
 * in the group (`runner-a`, token `glrt-t2_aaaaaaaaaaaa`), 2 above it, 3 of the instance, 4 of the project, 5 beside it.
 */
export function furnish(state: GitLabState): void {
  state.addGroup({ id: 30, fullPath: 'acme' })
  state.addGroup({ id: 33, fullPath: 'acme/ci', parent: 30, registrationToken: 'GR-ci' })
  state.addGroup({ id: 34, fullPath: 'acme/other', parent: 30 })
  state.addProject({ id: 101, fullPath: 'acme/ci/hadr', group: 33 })
  state.addToken({ token: TOKENS.owner, name: 'owner', scopes: ['api'], groups: { 33: 'owner' } })
  state.addToken({ token: TOKENS.maintainer, name: 'maintainer', scopes: ['api'], groups: { 33: 'maintainer' } })
  state.addToken({ token: TOKENS.reporter, name: 'reporter', scopes: ['api'], groups: { 33: 'reporter' } })
  state.addToken({ token: TOKENS.stranger, name: 'stranger', scopes: ['api'] })
  state.addToken({ token: TOKENS.manager, name: 'manager', scopes: ['manage_runner'], groups: { 33: 'owner' } })
  state.addToken({ token: TOKENS.reader, name: 'reader', scopes: ['read_api'], groups: { 33: 'owner' } })
  state.addToken({ token: TOKENS.admin, name: 'admin', scopes: ['api'], admin: true })
  const tags = ['runner-a', 'rnd-runner']
  state.addRunner({
    id: 1,
    token: 'glrt-t2_aaaaaaaaaaaa',
    description: 'cluster a',
    group: 33,
    tags,
    runUntagged: false,
  })
  state.addRunner({ id: 2, description: 'above', group: 30, tags: ['shared'] })
  state.addRunner({ id: 3, description: 'instance', instance: true, tags: ['shared'] })
  state.addRunner({ id: 4, description: 'project', project: 101, tags: ['shared'] })
  state.addRunner({ id: 5, description: 'beside', group: 34, tags: ['shared'] })
}

/** The part of a tap test that ends what was started. */
interface Owner {
  teardown(end: () => unknown): void
}

/** A furnished GitLab on a loopback socket, closed with the test. */
export async function startFurnished(owner: Owner, options: GitLabOptions = {}) {
  const gitlab = await startGitLab(options)
  owner.teardown(() => gitlab.close())
  furnish(gitlab.state)
  return { ...gitlab, ask: caller(gitlab.url) }
}

/** A furnished GitLab without a socket on a clock that the test moves. */
export function createFurnished(owner: Owner, options: GitLabOptions = {}) {
  const clock = createManualClock()
  const core = createGitLab({ clock, random: () => 0.5, ...options })
  owner.teardown(() => core.close())
  furnish(core.state)
  return { clock, core, state: core.state, faults: core.faults, ask: coreCaller(core) }
}

/** The token of runner 1. */
export const RUNNER_TOKEN = 'glrt-t2_aaaaaaaaaaaa'

type Ask = ReturnType<typeof coreCaller>

/** One poll for a job as gitlab-runner sends it. */
export function poll(ask: Ask, lastUpdate?: string): Promise<Reply> {
  return ask('POST', '/jobs/request', {
    body: {
      token: RUNNER_TOKEN,
      system_id: 's_aaaaaaaaaaaa',
      ...(lastUpdate !== undefined && { last_update: lastUpdate }),
      info: { name: 'gitlab-runner', version: '19.4.0', executor: 'kubernetes' },
    },
  })
}

export function lastUpdateOf({ headers }: Reply): string {
  return headers['x-gitlab-last-update'] ?? ''
}

/** What GitLab says of runner 1's contact. */
export async function contact(ask: Ask) {
  const { json } = await ask('GET', '/runners/1', { token: TOKENS.owner })
  return json as { contacted_at: string | null; online: boolean | null; status: string }
}

function requestHeaders(token: string | undefined, body: unknown, more: Record<string, string> = {}) {
  return {
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(token !== undefined && { 'private-token': token }),
    ...more,
  }
}

function reply(status: number, headers: Readonly<Record<string, string>>, text: string): Reply {
  try {
    return { status, headers, text, json: JSON.parse(text) }
  } catch {
    return { status, headers, text, json: undefined }
  }
}
