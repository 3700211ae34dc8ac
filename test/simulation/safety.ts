import type { Observation, Plan, PoolConfig } from '../../decider/model.ts'
import type { HttpRequest } from '../../lib/http/transport.ts'
import type { TagChange } from '../../simulator/gitlab/observation.ts'
import type { Site } from './site.ts'
import { type PublishedFile, type World, type WorldWatch, MAIN_TAG } from './world.ts'

/** A file, and each decider's time of reading when it was published. */
interface SeenFile extends PublishedFile {
  readMs: ReadonlyMap<string, number>
}

export interface Violation {
  atMs: number
  /** `S1` to `S8` as in the design, or `L1` to `L4`. */
  rule: string
  text: string
}

/** Clocks of clusters run up to ten percent fast or slow. */
const RATE_ERROR = 0.88
/** Puma's request timeout: nothing that was sent lands later. */
const LATE_MS = 60_000
/** Every so many plans one is made twice. */
const REPEAT_EVERY = 64

/**
 * Watches a world for what must never happen. It knows nothing of how the decider thinks: it looks at GitLab's truth
 * (tags, files, the moment a write is applied), at what deciders send, and at which clusters really live.
 */
export class Safety implements WorldWatch {
  readonly violations: Violation[] = []
  /** Gaps that a person's edit made, within the time in which a decider cannot have seen it. */
  excusedGaps = 0
  selfInflictedGaps = 0
  handOvers = 0
  readonly #files = new Map<string, SeenFile[]>()
  /** Per decider: how long it has been able to read GitLab, a cycle's worth at most per look. */
  readonly #readMs = new Map<string, { totalMs: number; lastMs: number }>()
  readonly #top = new Map<string, PublishedFile>()
  readonly #readable = new Map<string, boolean>()
  readonly #causes = new Map<string, { epoch: number; cause: string }>()
  readonly #edits = new Map<number, number>()
  #adminLossMs = -Infinity
  #epochMs = -Infinity
  #plans = 0
  #world: World | undefined

  constructor(private readonly again: (seen: Observation, plan: Plan, config: PoolConfig) => boolean) {}

  watch(world: World): void {
    this.#world = world
  }

  fail(rule: string, text: string): void {
    this.violations.push({ atMs: this.world.time.monotonicMs(), rule, text })
  }

  onLife(): void {
    // Whether a decider lives is read from the site itself.
  }

  onAnswer(): void {
    // What GitLab did shows in tags and files.
  }

  onPlan(site: Site, seen: Observation, plan: Plan, config: PoolConfig): void {
    this.#readable.set(site.name, seen.gitlab.readable)
    if (seen.gitlab.readable) this.#countRead(site)
    const { step } = plan
    const says = plan.publish ?? (step.kind === 'promote' || step.kind === 'demote' ? step.status : undefined)
    const unknown = !seen.own.known || (seen.own.available === 0 && seen.own.unknownPods > 0)
    if (unknown && says && says.available !== null) {
      this.fail('S5', `${site.name} says that ${says.available} pods are available, though it does not know`)
    }
    if (!seen.gitlab.readable && (step.kind !== 'none' || plan.publish || plan.probes.length > 0)) {
      this.fail('S5', `${site.name} wants to write although GitLab cannot be read: ${JSON.stringify(step)}`)
    }
    if (step.kind === 'promote') {
      this.#causes.set(site.name, { epoch: step.status.epoch, cause: step.cause })
      const { own } = seen
      if (own.known && own.available === 0 && own.unknownPods === 0) {
        this.fail('S5', `${site.name} promotes itself with no available runner`)
      }
      if (step.cause === 'prefer' && !own.known) this.fail('S5', `${site.name} prefers itself without knowing itself`)
    }
    if (++this.#plans % REPEAT_EVERY === 0 && !this.again(seen, plan, config)) {
      this.fail('S8', `${site.name} decides twice differently on the same data`)
    }
  }

  onRequest(site: Site, request: HttpRequest): void {
    const { method, url, body = '{}' } = request
    if (method === 'GET' || url.endsWith('/graphql')) return
    const sent = JSON.parse(body) as Record<string, unknown>
    const runnerId = /\/runners\/(\d+)$/.exec(url)?.[1]
    if (this.#readable.get(site.name) === false) {
      // Leaving says so in the file, whatever the last look gave.
      if (runnerId !== undefined) this.fail('S5', `${site.name} writes runner ${runnerId} after a failed look`)
    }
    if (method === 'PUT' && runnerId !== undefined) {
      this.#checkRunnerWrite(site, Number(runnerId), sent)
      return
    }
    const branch = String(sent['branch'])
    const own = branch === `hadr/${site.configuredName}` || branch === 'hadr-history'
    if (method !== 'POST' || !own) this.fail('S2', `${site.name} sends ${method} ${url} on branch ${branch}`)
  }

  onFile(file: PublishedFile): void {
    const { cluster, seq, epoch, active } = file
    const history = this.#files.get(cluster) ?? []
    history.push({ ...file, readMs: new Map([...this.#readMs].map(([name, { totalMs }]) => [name, totalMs])) })
    if (history.length > 400) history.splice(0, 200)
    this.#files.set(cluster, history)
    const top = this.#top.get(cluster)
    // A write that lands late carries an older seq; what it says is no news, and who says the newest again claims nothing.
    if (top && seq <= top.seq) return
    if (top && epoch < top.epoch) this.fail('S6', `the epoch of ${cluster} falls from ${top.epoch} to ${epoch}`)
    if (active && (!top?.active || epoch > top.epoch)) {
      if (top && epoch <= top.epoch) this.fail('S6', `${cluster} claims with epoch ${epoch} a second time`)
      else this.#newClaim(file)
    }
    this.#top.set(cluster, file)
  }

  onTagChange(change: TagChange): void {
    const { before, after, by, runnerId } = change
    const nowMs = this.world.time.monotonicMs()
    const had = before.includes(MAIN_TAG) && !change.pausedBefore
    const has = after.includes(MAIN_TAG) && !change.pausedAfter
    const site = this.world.sites.find(({ name }) => by === `token:${name}`)
    if (!site) {
      if (by.startsWith('token:')) this.fail('S2', `${by} edits runner ${runnerId}`)
      this.#edits.set(runnerId, nowMs)
      if (had && !has) this.#adminLossMs = nowMs
      return
    }
    const owner = this.world.clusterOf({ tags: before })
    this.#checkTags(site, change)
    const pausedMs = this.world.pausedSinceMs
    if (pausedMs !== undefined && nowMs - pausedMs > this.#lateMs()) {
      this.fail('S7', `${site.name} edits runner ${runnerId} although people paused the pool`)
    }
    const added = !before.includes(MAIN_TAG) && after.includes(MAIN_TAG)
    const removed = before.includes(MAIN_TAG) && !after.includes(MAIN_TAG)
    if (added && owner !== site.name) this.fail('S2', `${site.name} tags runner ${runnerId} of ${owner ?? 'nobody'}`)
    if (!removed) return
    if (owner === site.name) this.#checkOwnRemoval(site, change)
    else this.#checkFence(site, owner, runnerId)
    if (!had) return
    const holders = this.world.holders()
    if (holders.size > 0) {
      if (!holders.has(owner ?? '')) this.handOvers++
    } else if (nowMs - this.#adminLossMs <= this.#lateMs()) {
      this.excusedGaps++
    } else {
      this.selfInflictedGaps++
      this.fail('S1', `${site.name} removes the last main tag, from runner ${runnerId} of ${owner ?? 'nobody'}`)
    }
  }

  private get world(): World {
    if (!this.#world) throw new Error('the safety checks watch no world yet')
    return this.#world
  }

  /** How long after the look that it rests on a tag write may still land. */
  #lateMs(): number {
    const { pollMs } = this.world.timing
    return (2 * pollMs + Math.max(5000, pollMs)) / RATE_ERROR + LATE_MS
  }

  #newClaim({ cluster, epoch }: PublishedFile): void {
    const nowMs = this.world.time.monotonicMs()
    const sinceMs = nowMs - this.#epochMs
    const cause = this.#causes.get(cluster)
    const { holdMinMs } = this.world.timing
    // Two that prefer themselves at the same time cannot know of each other; anything later must wait.
    if (cause?.cause === 'prefer' && cause.epoch === epoch) {
      if (sinceMs > this.#lateMs() && sinceMs < holdMinMs * RATE_ERROR) {
        this.fail('S6', `${cluster} prefers itself ${Math.round(sinceMs / 1000)} s after the last change`)
      }
    }
    this.#epochMs = nowMs
  }

  #checkRunnerWrite(site: Site, runnerId: number, sent: Record<string, unknown>): void {
    const owner = this.world.clusterOf(this.world.gitlab.state.runner(runnerId))
    const keys = Object.keys(sent).join()
    const tags = sent['tag_list']
    if (tags === undefined) {
      if (keys !== 'locked') this.fail('S2', `${site.name} sends ${keys} to runner ${runnerId}`)
      if (owner === undefined || owner === site.name || !this.#sawSilence(site, owner, this.world.timing.deadAfterMs)) {
        this.fail('S2', `${site.name} wakes runner ${runnerId} of ${owner ?? 'nobody'}, which was not silent`)
      }
      return
    }
    if (keys !== 'tag_list' || !Array.isArray(tags) || tags.length === 0) {
      this.fail('S4', `${site.name} sends runner ${runnerId} ${JSON.stringify(sent)}`)
    }
  }

  #checkTags(site: Site, { before, after, runnerId, pausedBefore, pausedAfter }: TagChange): void {
    const others = (tags: readonly string[]) =>
      tags
        .filter(tag => tag !== MAIN_TAG)
        .sort()
        .join()
    const editedMs = this.#edits.get(runnerId) ?? -Infinity
    const edited = this.world.time.monotonicMs() - editedMs <= this.#lateMs()
    if (others(before) !== others(after) && !edited) {
      this.fail('S4', `${site.name} changes unrelated tags of runner ${runnerId}: ${others(before)}, ${others(after)}`)
    }
    if (after.length === 0) this.fail('S4', `${site.name} empties the tags of runner ${runnerId}`)
    if (pausedBefore !== pausedAfter) this.fail('S2', `${site.name} pauses or resumes runner ${runnerId}`)
  }

  #checkOwnRemoval(site: Site, { runnerId }: TagChange): void {
    const { world } = this
    const { name } = site
    const nowMs = world.time.monotonicMs()
    const what = `${name} removes its main tag from runner ${runnerId}`
    const own = world.files.get(name)
    if (own?.active && own.seq >= (this.#top.get(name)?.seq ?? 0)) this.fail('S3', `${what} while its file claims`)
    const { heartbeatMs, pollMs } = world.timing
    const proofMs = (1.1 * heartbeatMs + 3 * pollMs) / RATE_ERROR + this.#lateMs()
    const alive = [...world.holders()].some(holder => {
      const { deadSinceMs } = world.site(holder)
      return holder !== name && (deadSinceMs === undefined || nowMs - deadSinceMs <= proofMs)
    })
    const edited = nowMs - this.#adminLossMs <= this.#lateMs()
    if (!alive && !edited) this.fail('S1', `${what}, and whoever else carries it is dead for long`)
    const claims = (this.#files.get(name) ?? []).filter(file => file.active)
    const last = claims.at(-1)
    const turnedMs = (this.#files.get(name) ?? []).find(file => file.seq > (last?.seq ?? 0))?.atMs ?? -Infinity
    const ours = last && nowMs - turnedMs <= this.#lateMs() ? last : undefined
    const winner = [...this.#files].some(([cluster, files]) => {
      if (cluster === name) return false
      return files.some((file, index) => {
        const untilMs = files[index + 1]?.atMs ?? nowMs
        if (!file.active || nowMs - untilMs > this.#lateMs()) return false
        return !ours || file.epoch > ours.epoch || (file.epoch === ours.epoch && cluster > name)
      })
    })
    if (!winner) this.fail('S3', `${what}, and nobody claims with a higher claim`)
  }

  #checkFence(site: Site, owner: string | undefined, runnerId: number): void {
    const { deadAfterMs, pollMs } = this.world.timing
    const what = `${site.name} fences runner ${runnerId} of ${owner ?? 'nobody'}`
    if (owner === undefined || !this.#sawSilence(site, owner, deadAfterMs + 2 * pollMs)) {
      this.fail('S2', `${what}, which was not silent`)
    }
    const nowMs = this.world.time.monotonicMs()
    const files = this.#files.get(site.name) ?? []
    const claimed = files.some(
      (file, index) => file.active && nowMs - (files[index + 1]?.atMs ?? nowMs) <= this.#lateMs(),
    )
    if (!claimed) this.fail('S2', `${what} without a claim of its own`)
  }

  #countRead({ name }: Site): void {
    const nowMs = this.world.time.monotonicMs()
    const before = this.#readMs.get(name) ?? { totalMs: 0, lastMs: nowMs }
    const stepMs = Math.min(nowMs - before.lastMs, (2 * this.world.timing.pollMs) / RATE_ERROR)
    this.#readMs.set(name, { totalMs: before.totalMs + stepMs, lastMs: nowMs })
  }

  /** Whether `site` read a cluster's file unchanged for `ms`, until a moment so late that a write may rest on it. */
  #sawSilence({ name }: Site, cluster: string, ms: number): boolean {
    const nowMs = this.world.time.monotonicMs()
    const files = this.#files.get(cluster) ?? []
    const readNowMs = this.#readMs.get(name)?.totalMs ?? 0
    return files.some(({ readMs }, index) => {
      const next = files[index + 1]
      const silentMs = (next ? (next.readMs.get(name) ?? 0) : readNowMs) - (readMs.get(name) ?? 0)
      return silentMs >= ms * RATE_ERROR && nowMs - (next?.atMs ?? nowMs) <= this.#lateMs()
    })
  }
}
