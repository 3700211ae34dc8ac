import { silentLog } from '../service/log.ts'
import { openAccess, type GitLabClientOptions } from './access.ts'
import { createGraphql } from './graphql.ts'
import { createPackages } from './packages.ts'
import { createPaths } from './paths.ts'
import { createPoolReader } from './pool.ts'
import { createRepository } from './repository.ts'
import { createRunners } from './runners.ts'
import { createSearches } from './searches.ts'
import type { GitLabClient } from './types.ts'

/** A hundred runners with fifty long tags each stay below half of the bytes. */
const USUAL = { deadlineMs: 8_000, maxResponseBytes: 4 * 1024 * 1024 }

/**
 * A client of one GitLab with one token. Reads are repeated once after a network error or a 5xx, writes never. When GitLab
 * limits our requests, nothing is sent until it wants to hear from us again: calls reject at once as `rate_limited`.
 * Throws when the URL is wrong.
 */
export function createGitLabClient(options: GitLabClientOptions): GitLabClient {
  const { url, sender, call } = openAccess(options, USUAL)
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
    clock: options.clock,
    log: options.log ?? silentLog,
    serverNowMs: sender.serverNowMs,
  })

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
