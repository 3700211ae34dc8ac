import { createPublisher } from '../../decider/act/publisher.ts'
import { createTagWriter } from '../../decider/act/tag-writer.ts'
import type { WriteGuard } from '../../decider/act/write-guard.ts'
import type { StatusDocument } from '../../decider/documents.ts'
import { type Decision, createPoolLoop } from '../../decider/loop.ts'
import type { OwnCapacity, PoolStatus } from '../../decider/model.ts'
import { createGitLabReader } from '../../decider/observe/gitlab.ts'
import { type Log, silentLog } from '../../lib/service/log.ts'
import { poolOf } from './cluster-truth.ts'
import { type Call, FakeGitLab, HandClock } from './fake-gitlab.ts'

export const branchOf = (cluster: string) => `hadr/${cluster}:status.json`

/**
 * Cluster a's real loop on a GitLab in memory, with runner 10; b is files and runner 20. `says` publishes for either,
 * `cycle` is one cycle, `did` are the calls of the last one.
 */
export function scene({ dryRun = false, ownProjectToken = false } = {}) {
  const clock = new HandClock()
  const gitlab = new FakeGitLab(clock)
  const pool = poolOf('a')
  // A token of its own for the HADR project.
  const project = ownProjectToken ? new FakeGitLab(clock) : gitlab
  const deps = { gitlab, clock }
  const files = {
    statusPath: 'status.json',
    controlPath: 'control.json',
    statusBranch: (name: string) => `hadr/${name}`,
  }
  const publisher = createPublisher({ ...deps, project: 1, cluster: 'a', decider: { id: 'pod-1', version: '1.0.0' } })
  const decisions: Decision[] = []
  const warnings: { fields: object; message: string }[] = []
  const log: Log = { ...silentLog, warn: (fields, message) => void warnings.push({ fields, message }) }
  const capacity: { own: OwnCapacity } = {
    own: { known: true, available: 4, unknownPods: 0, total: 4, desired: null, servingIds: [10] },
  }
  let abort = new AbortController()
  const loop = createPoolLoop(pool, {
    runners: gitlab,
    project,
    projectId: 1,
    publisher,
    tagWriter: createTagWriter(deps),
    readGitLab: createGitLabReader({ runners: gitlab, project, clock, owner: { group: 2 }, projectId: 1, files }),
    readCapacity: () => Promise.resolve(capacity.own),
    random: () => 0.5,
    dryRun,
    clock,
    log,
    onDecision: decision => {
      decisions.push(decision)
      abort.abort()
    },
  })
  gitlab.add(10, 'runner-a', 'linux')
  gitlab.add(20, 'runner-b', 'linux')

  function documentOf(cluster: string): StatusDocument | undefined {
    const content = gitlab.files.get(branchOf(cluster))
    return content === undefined ? undefined : (JSON.parse(content) as StatusDocument)
  }
  function says(cluster: 'a' | 'b', change: Partial<PoolStatus> = {}): void {
    const before = documentOf(cluster)
    const part: PoolStatus = {
      digest: pool.digest,
      epoch: 0,
      active: false,
      available: 4,
      total: 4,
      desired: null,
      lastKnown: 4,
      unknownForSeconds: 0,
      servingIds: [cluster === 'a' ? 10 : 20],
      reason: '',
      ...before?.pools['rnd'],
      ...change,
    }
    const document: StatusDocument = {
      schema: 1,
      cluster,
      seq: (before?.seq ?? 0) + 1,
      decider: { id: 'other', version: '1.0.0' },
      pools: { rnd: part },
    }
    gitlab.files.set(branchOf(cluster), JSON.stringify(document))
  }
  async function cycle(guard?: WriteGuard): Promise<Decision> {
    abort = new AbortController()
    gitlab.log.length = 0
    await loop.run(abort.signal, guard)
    const decision = decisions.at(-1)
    if (!decision) throw new Error('no decision')
    return decision
  }
  return {
    clock,
    gitlab,
    project,
    publisher,
    capacity,
    warnings,
    says,
    cycle,
    documentOf,
    active: () => documentOf('a')?.pools['rnd']?.active,
    holds: (id: number) => gitlab.tagsOf(id).includes('rnd-runner'),
    get did() {
      return gitlab.log.filter(entry => entry !== 'default')
    },
  }
}

export type Scene = ReturnType<typeof scene>

/** Nobody serves and a has just been started beside a standby b. */
export function emergency() {
  const world = scene()
  world.says('b')
  return world
}

/** Cluster b serves with claim (3, b), a is pinned and about to follow. */
export async function pinned() {
  const world = scene()
  world.says('a')
  world.says('b', { active: true, epoch: 3 })
  world.gitlab.add(20, 'runner-b', 'rnd-runner')
  for (let cycles = 0; cycles < 8; cycles++) {
    world.says('b')
    await world.cycle()
  }
  const wish = { to: 'a', until: '2100-01-01T00:00:00Z', by: 'kim', why: 'test' }
  world.gitlab.files.set('main:control.json', JSON.stringify({ schema: 1, pools: { rnd: { pin: wish } } }))
  world.says('b')
  return world
}

/** Cluster a has long held with claim (3, a); b serves with (4, b) and is proven: the next cycle yields. */
export async function losing() {
  const world = scene()
  world.says('a', { active: true, epoch: 3 })
  world.gitlab.add(10, 'runner-a', 'rnd-runner', 'linux')
  for (let cycles = 0; cycles < 8; cycles++) {
    world.says('b')
    await world.cycle()
  }
  world.says('b', { active: true, epoch: 4 })
  world.gitlab.add(20, 'runner-b', 'rnd-runner')
  return world
}

/** Calls `change` before the `nth` look of a cycle, the first look being the cycle's own. */
export function onLook(world: Scene, nth: number, change: () => void) {
  let looks = 0
  world.gitlab.onCall = call => {
    if (call === 'read' && ++looks === nth) change()
  }
}

export const failing =
  (call: Call, kind: 'forbidden' | 'unavailable', applied = false) =>
  (name: Call) =>
    name === call ? { kind, applied } : undefined

/** Somebody pauses a runner. */
export function pause({ gitlab }: Scene, id: number): void {
  const runner = gitlab.runners.get(id)
  if (runner) gitlab.runners.set(id, { ...runner, paused: true })
}
