import { type GitLabClient, GitLabError } from '../../lib/gitlab/types.ts'
import type { Clock } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import { remember } from '../memory.ts'
import type { Observation, Outcomes, Plan, PoolConfig, PoolStatus, Step } from '../model.ts'
import type { GitLabLook } from '../observe/gitlab.ts'
import { evidenceFor, viewClusters } from '../views.ts'
import { type Publisher, HISTORY_BRANCH } from './publisher.ts'
import type { Instant, TagWriter, WriteResult } from './tag-writer.ts'
import type { WriteGuard } from './write-guard.ts'

export const OPERATIONS = ['publish', 'add', 'remove', 'fence', 'wake', 'history'] as const
export type Operation = (typeof OPERATIONS)[number]

/** One write that was tried, for logs, metrics and the decision's record. */
export interface Deed {
  operation: Operation
  result: WriteResult
  runnerId?: number
  why?: string
}

export interface ActDeps {
  runners: GitLabClient
  project: GitLabClient
  projectId: number
  publisher: Publisher
  tagWriter: TagWriter
  /** One more look at GitLab, as the cycle's own. */
  look: (pool: PoolConfig) => Promise<GitLabLook>
  clock: Clock
  log: Log
  /** Missing: this process may always write. */
  guard?: WriteGuard
}

/** What a cycle's writes leave for the next decision. */
export type ActOutcome = Pick<Outcomes, 'wakes' | 'removalSentServerMs' | 'doubtMonotonicMs'> & {
  deeds: readonly Deed[]
}

/**
 * Carries out a plan in the protocol's order (section 4): heartbeat first, then the step, then probes. Nothing is
 * retried: whatever fails, the next cycle sees the difference again. Never rejects for what GitLab does.
 */
export async function act(plan: Plan, seen: Observation, pool: PoolConfig, deps: ActDeps): Promise<ActOutcome> {
  const deeds: Deed[] = []
  const acting: Acting = { plan, seen, pool, deps, deeds }
  if (plan.publish) await publish(acting, plan.publish)
  const removalSentServerMs = await carryOut(acting, plan.step)
  const wakes = await wakeAll(acting)
  const fenceInDoubt = deeds.some(deed => deed.operation === 'fence' && deed.result === 'ambiguous')
  return {
    wakes,
    deeds,
    ...(removalSentServerMs === undefined ? {} : { removalSentServerMs }),
    ...(fenceInDoubt ? { doubtMonotonicMs: deps.clock.monotonicMs() } : {}),
  }
}

interface Acting {
  plan: Plan
  seen: Observation
  pool: PoolConfig
  deps: ActDeps
  deeds: Deed[]
}

async function carryOut(acting: Acting, step: Step): Promise<number | undefined> {
  const { seen, pool } = acting
  // Tag writes rest on this cycle's read; after 2 P it is too old, and the heartbeat must not wait any longer.
  const deadline = twoPeriodsAfter(seen, pool)
  switch (step.kind) {
    case 'none':
      return undefined
    case 'tend':
      await writeTags(acting, 'add', step.addIds, pool.self, deadline)
      for (const { cluster, runnerIds } of step.fence) {
        await writeTags(acting, 'fence', runnerIds, cluster, deadline)
      }
      return undefined
    case 'promote':
      await promote(acting, step)
      return undefined
    case 'demote':
      return demote(acting, step)
  }
}

function twoPeriodsAfter({ monotonicMs, wallMs }: Instant, { timing }: PoolConfig): Instant {
  return { monotonicMs: monotonicMs + 2 * timing.pollMs, wallMs: wallMs + 2 * timing.pollMs }
}

async function promote(acting: Acting, step: Extract<Step, { kind: 'promote' }>): Promise<void> {
  const { pool, deps, deeds } = acting
  const claimed = await publishAndSee(acting, step.status)
  const mustBeSeen = step.cause === 'prefer' || step.cause === 'pin'
  if (!claimed && mustBeSeen) {
    deps.log.warn({ pool: pool.name, cause: step.cause }, 'the claim could not be published and seen; not promoting')
    return
  }
  const deadline = twoPeriodsAfter({ monotonicMs: deps.clock.monotonicMs(), wallMs: deps.clock.wallMs() }, pool)
  await writeTags(acting, 'add', step.addIds, pool.self, deadline)
  if (claimed) deeds.push(await writeHistory(acting, step))
}

/**
 * Publish inactive, see that in GitLab, only then look at the winner and the tags in one read, and remove while that
 * look is fresh. Without the read-back one late heartbeat could lose the last tag.
 */
async function demote(acting: Acting, step: Extract<Step, { kind: 'demote' }>): Promise<number | undefined> {
  const { plan, seen, pool, deps } = acting
  const { clock, log } = deps
  if (!(await publishAndSee(acting, step.status))) {
    log.warn({ pool: pool.name }, 'the inactive status could not be published and seen; keeping the main tag')
    return undefined
  }
  const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }
  // Another pool's publish, just before ours, carried our part as well.
  const doubtMs = deps.publisher.doubtMonotonicMs
  if (doubtMs !== undefined && now.monotonicMs - doubtMs < pool.timing.quarantineMs) {
    log.warn({ pool: pool.name }, 'an older publish may still land; keeping the main tag')
    return undefined
  }
  const look = await deps.look(pool)
  if (!look.readable) {
    log.warn({ pool: pool.name, why: look.why }, 'GitLab cannot be read again; keeping the main tag')
    return undefined
  }
  const again: Observation = { ...seen, ...now, gitlab: look.view, outcomes: { ...seen.outcomes, wakes: {} } }
  const views = viewClusters(remember(plan.next, again, pool), again, pool)
  const winner = views.peers.find(peer => peer.config.name === step.winner)
  if (!winner || !evidenceFor(winner, step.ours) || views.self.claim) {
    log.warn({ pool: pool.name, winner: step.winner }, 'the winner is no longer proven to serve; keeping the main tag')
    return undefined
  }
  let sentServerMs: number | undefined
  const deadline = twoPeriodsAfter(now, pool)
  await writeTags(acting, 'remove', step.removeIds, pool.self, deadline, () => {
    sentServerMs = look.view.serverMs + (clock.monotonicMs() - now.monotonicMs)
  })
  return sentServerMs
}

async function publish({ pool, deps, deeds }: Acting, part: PoolStatus): Promise<number | undefined> {
  try {
    const seq = await deps.publisher.publish(pool.name, part, deps.guard)
    deeds.push({ operation: 'publish', result: 'done' })
    return seq
  } catch (error) {
    deeds.push({ operation: 'publish', ...failure(error) })
    return undefined
  }
}

/** True when GitLab shows our file with at least the seq just published and the part that was meant. */
async function publishAndSee(acting: Acting, part: PoolStatus): Promise<boolean> {
  const { pool, deps } = acting
  const seq = await publish(acting, part)
  if (seq === undefined) return false
  const look = await deps.look(pool)
  const file = look.readable ? look.view.files[pool.self] : undefined
  return (
    file?.kind === 'read' && file.seq >= seq && file.status.active === part.active && file.status.epoch === part.epoch
  )
}

async function writeTags(
  { pool, deps, deeds, seen }: Acting,
  operation: 'add' | 'remove' | 'fence',
  runnerIds: readonly number[],
  cluster: string,
  deadline: Instant,
  onSend?: () => void,
): Promise<void> {
  const clusterTag = pool.clusters.find(({ name }) => name === cluster)?.tag
  if (clusterTag === undefined) return
  const present = operation === 'add'
  const ordered = present ? likeliestToServe(runnerIds, seen) : runnerIds
  await Promise.all(
    ordered.map(async runnerId => {
      const { guard } = deps
      const write = { runnerId, mainTag: pool.mainTag, present, clusterTag, deadline, ...(guard ? { guard } : {}) }
      deeds.push({ operation, runnerId, ...(await deps.tagWriter.write(write, onSend)) })
    }),
  )
}

/** Those with a pod behind them first, then those that GitLab calls online: the first tagged one ends an outage. */
function likeliestToServe(runnerIds: readonly number[], { own, gitlab }: Observation): number[] {
  const serving = new Set(own.known ? own.servingIds : [])
  const online = new Set(gitlab.readable ? gitlab.runners.filter(runner => runner.online).map(({ id }) => id) : [])
  const rank = (id: number) => (serving.has(id) ? 0 : online.has(id) ? 1 : 2)
  return [...runnerIds].sort((a, b) => rank(a) - rank(b))
}

async function writeHistory(
  { seen, plan, pool, deps }: Acting,
  step: Extract<Step, { kind: 'promote' }>,
): Promise<Deed> {
  const { epoch } = step.status
  const entry = {
    schema: 1,
    pool: pool.name,
    mainTag: pool.mainTag,
    epoch,
    cluster: pool.self,
    cause: step.cause,
    why: plan.explain,
    at: seen.gitlab.readable ? new Date(seen.gitlab.serverMs).toISOString() : null,
    scores: plan.next.scores,
  }
  const over = deps.guard?.over
  try {
    const { name } = await deps.project.defaultBranch(deps.projectId, over)
    const file = {
      project: deps.projectId,
      branch: HISTORY_BRANCH,
      startBranch: name,
      path: `${pool.name}/${epoch}-${pool.self}.json`,
      content: `${JSON.stringify(entry, null, 2)}\n`,
      message: `${pool.mainTag} to cluster ${pool.self}, epoch ${epoch} [skip ci]`,
    }
    await deps.project.createFile(file, over)
    return { operation: 'history', result: 'done' }
  } catch (error) {
    const exists = error instanceof GitLabError && error.kind === 'conflict'
    return { operation: 'history', ...(exists ? { result: 'unchanged' as const } : failure(error)) }
  }
}

/** Wakes silent peers' runners by an update that changes nothing, after noting when GitLab last heard of each. */
async function wakeAll({ plan, deps, deeds }: Acting): Promise<Outcomes['wakes']> {
  const wakes: Record<string, Record<number, number | null>> = {}
  for (const { cluster, runnerIds } of plan.probes) {
    const contacts = new Map<number, number | null>()
    await Promise.all(
      runnerIds.map(async runnerId => {
        try {
          const runner = await deps.runners.runner(runnerId, deps.guard?.over)
          if (deps.guard?.maySend() === false) {
            deeds.push({ operation: 'wake', runnerId, result: 'expired' })
            return
          }
          // Noted even if the answer to the update is lost: the runner may have been woken all the same.
          contacts.set(runnerId, runner.contactedAtMs)
          await deps.runners.wake(runnerId, runner.locked, deps.guard?.over)
          deeds.push({ operation: 'wake', runnerId, result: 'done' })
        } catch (error) {
          const deed = { operation: 'wake' as const, runnerId, ...failure(error) }
          // Surely not woken: not to have answered proves nothing then, so the next cycle asks again.
          if (deed.result === 'failed') contacts.delete(runnerId)
          deeds.push(deed)
        }
      }),
    )
    wakes[cluster] = Object.fromEntries(contacts)
  }
  return wakes
}

function failure(error: unknown): { result: WriteResult; why: string } {
  const ambiguous = !(error instanceof GitLabError) || error.ambiguous
  return { result: ambiguous ? 'ambiguous' : 'failed', why: error instanceof Error ? error.message : String(error) }
}
