import type { HttpTransport } from '../http/transport.ts'
import { withDeadline, type Clock, type Random } from '../service/clock.ts'
import { silentLog, type Log } from '../service/log.ts'
import { parseGitLabUrl, type Endpoint } from './endpoints.ts'
import { createGraphql } from './graphql.ts'
import { ShapeError } from './json.ts'
import { createPackages } from './packages.ts'
import { createPaths } from './paths.ts'
import { createPoolReader } from './pool.ts'
import { createRepository } from './repository.ts'
import { createSender, givenUp, type OnRequest } from './request.ts'
import { createRunners } from './runners.ts'
import { createSearches } from './searches.ts'
import { GitLabError, type GitLabClient } from './types.ts'

const DEFAULT_DEADLINE_MS = 8_000
/** A hundred runners with fifty long tags each stay below half of it. */
const DEFAULT_MAX_RESPONSE_BYTES = 4 * 1024 * 1024

export interface GitLabClientOptions {
  /** GitLab's root or its `/api/v4`; credentials in it are refused. */
  url: string
  transport: HttpTransport
  /** Asked before every request, so that a renewed token is used at once; undefined rejects the call unsent. */
  token: () => Promise<string | undefined>
  clock: Clock
  random: Random
  log?: Log
  /** Bounds every call of the client as a whole, with all the requests and the repetition that it needs. */
  deadlineMs?: number
  maxResponseBytes?: number
  userAgent?: string
  /** For metrics; never sees the token, a URL or a body. */
  onRequest?: OnRequest
  /** For metrics: told of `RateLimit-Remaining` in each answer that has it. */
  onRateLimit?: (remaining: number) => void
}

/**
 * A client of one GitLab with one token. Reads are repeated once after a network error or a 5xx, writes never. When GitLab
 * limits our requests, nothing is sent until it wants to hear from us again: calls reject at once as `rate_limited`.
 * Throws when the URL is wrong.
 */
export function createGitLabClient(options: GitLabClientOptions): GitLabClient {
  const { clock, deadlineMs = DEFAULT_DEADLINE_MS, log = silentLog } = options
  const url = parseGitLabUrl(options.url)
  const sender = createSender({
    transport: options.transport,
    token: options.token,
    clock,
    random: options.random,
    log,
    maxResponseBytes: options.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES,
    userAgent: options.userAgent ?? 'gitlab-runner-hadr',
    onRequest: options.onRequest,
    onRateLimit: options.onRateLimit,
  })
  const graphql = createGraphql(sender, url.graphql)
  const paths = createPaths(sender, url)
  const runners = createRunners(sender, url)
  const repository = createRepository(sender, url)
  const packages = createPackages(sender, url)
  const searches = createSearches(graphql, runners, paths)
  const readPool = createPoolReader({
    graphql,
    runners,
    repository,
    paths,
    clock,
    log,
    serverNowMs: sender.serverNowMs,
  })

  /** Runs a whole call within the deadline; whatever goes wrong inside leaves as a GitLabError. */
  async function call<T>(
    endpoint: Endpoint,
    caller: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return await withDeadline(
      clock,
      deadlineMs,
      async signal => {
        try {
          return await work(signal)
        } catch (error) {
          throw asGitLabError(error, endpoint, signal)
        }
      },
      caller,
    )
  }

  return {
    groupRunnerTotal: (group, signal) => call('GET /groups/:id/runners', signal, s => runners.total(group, s)),
    runner: (id, signal) => call('GET /runners/:id', signal, s => runners.one(id, s)),
    runnersWithManager: (wanted, signal) => call('POST /api/graphql', signal, s => searches.withManager(wanted, s)),
    groupRunnerPage: (group, search, signal) =>
      call('GET /groups/:id/runners', signal, s => searches.page(group, search, s)),
    managers: (id, signal) => call('GET /runners/:id/managers', signal, s => runners.managers(id, s)),
    replaceTags: (id, tags, signal) => call('PUT /runners/:id', signal, s => runners.replaceTags(id, tags, s)),
    wake: (id, locked, signal) => call('PUT /runners/:id', signal, s => runners.wake(id, locked, s)),
    readPool: (wanted, signal) => call('POST /api/graphql', signal, s => readPool(wanted, s)),
    replaceBranchFile: (write, signal) =>
      call('POST /projects/:id/repository/commits', signal, s => repository.replaceBranchFile(write, s)),
    createFile: (write, signal) =>
      call('POST /projects/:id/repository/files/:path', signal, s => repository.createFile(write, s)),
    putPackageFile: (upload, signal) =>
      call('PUT /projects/:id/packages/generic/:name/:version/:file', signal, s => packages.putFile(upload, s)),
    defaultBranch: (project, signal) => call('GET /projects/:id', signal, s => repository.defaultBranch(project, s)),
    serverNowMs: sender.serverNowMs,
  }
}

/** Whatever goes wrong inside a call, as the one error that callers know. */
export function asGitLabError(error: unknown, endpoint: Endpoint, signal: AbortSignal): GitLabError {
  if (error instanceof GitLabError) return error
  if (signal.aborted) return givenUp(endpoint, signal)
  if (error instanceof ShapeError) return new GitLabError('invalid_answer', endpoint, error.message, { cause: error })
  return new GitLabError('unavailable', endpoint, 'the call failed', { cause: error })
}
