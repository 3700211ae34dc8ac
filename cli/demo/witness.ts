import type { GitLabState } from '../../simulator/gitlab/state.ts'

/** Which runner entities belong to which cluster. */
export type Membership = Readonly<Record<string, readonly number[]>>

export interface Verdict {
  /** Seconds in which no runner at all carried the main tag. */
  nobodySeconds: number
  /** Seconds in which two clusters carried it while both were running. */
  bothSeconds: number
  jobs: { created: number; succeeded: number; interrupted: number; waiting: number; lost: number }
  pickedBy: Readonly<Record<string, number>>
}

/**
 * Watches GitLab's own records, and nothing the programs say of themselves: who carried the main tag when, and what
 * became of every job.
 */
export class Witness {
  readonly #state: GitLabState
  readonly #members: Membership
  readonly #mainTag: string
  readonly #running = new Set<string>()
  readonly #picked = new Map<string, number>()
  #lastMs: number
  #nobodyMs = 0
  #bothMs = 0
  readonly #unsubscribe: (() => void)[]

  constructor(
    state: GitLabState,
    members: Membership,
    mainTag: string,
    onMove: (cluster: string, holds: boolean) => void = () => undefined,
  ) {
    this.#state = state
    this.#members = members
    this.#mainTag = mainTag
    this.#lastMs = state.nowMs()
    for (const cluster of Object.keys(members)) this.#running.add(cluster)
    let before = new Set(this.holders())
    this.#unsubscribe = [
      state.onTagChange(change => {
        // The state is the new one already; what lasted until now was the old one.
        this.#count([...before], change.atMs)
        const now = new Set(this.holders())
        for (const cluster of Object.keys(members)) {
          if (before.has(cluster) !== now.has(cluster)) onMove(cluster, now.has(cluster))
        }
        before = now
      }),
      state.onJobChange(({ job, after }) => {
        const cluster = after === 'running' && job.runnerId !== null ? this.clusterOf(job.runnerId) : undefined
        if (cluster !== undefined) this.#picked.set(cluster, (this.#picked.get(cluster) ?? 0) + 1)
      }),
    ]
  }

  /** Clusters with an unpaused runner that carries the main tag, dead or alive: what GitLab would give jobs to. */
  holders(): string[] {
    return Object.entries(this.#members)
      .filter(([, ids]) => ids.some(id => this.#carries(id)))
      .map(([cluster]) => cluster)
  }

  clusterOf(runnerId: number): string | undefined {
    return Object.entries(this.#members).find(([, ids]) => ids.includes(runnerId))?.[0]
  }

  picked(cluster: string): number {
    return this.#picked.get(cluster) ?? 0
  }

  setRunning(cluster: string, running: boolean): void {
    this.#count(this.holders(), this.#state.nowMs())
    if (running) this.#running.add(cluster)
    else this.#running.delete(cluster)
  }

  /** `interruptedIds`: jobs that ran on a cluster when it was killed; no failover can save those. */
  verdict(interruptedIds: ReadonlySet<number>): Verdict {
    this.#count(this.holders(), this.#state.nowMs())
    const jobs = this.#state.jobs()
    const settled = (job: (typeof jobs)[number]) => job.status === 'success' || interruptedIds.has(job.id)
    const waiting = jobs.filter(job => job.status === 'pending' || (job.status === 'running' && !settled(job)))
    return {
      nobodySeconds: this.#nobodyMs / 1000,
      bothSeconds: this.#bothMs / 1000,
      jobs: {
        created: jobs.length,
        succeeded: jobs.filter(job => job.status === 'success').length,
        interrupted: interruptedIds.size,
        waiting: waiting.length,
        lost: jobs.filter(job => !settled(job) && !waiting.includes(job)).length,
      },
      pickedBy: Object.fromEntries(this.#picked),
    }
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
  }

  #carries(id: number): boolean {
    const runner = this.#state.runner(id)
    return !runner.paused && runner.tags.includes(this.#mainTag)
  }

  #count(holders: readonly string[], nowMs: number): void {
    const lastedMs = Math.max(0, nowMs - this.#lastMs)
    this.#lastMs = nowMs
    if (holders.length === 0) this.#nobodyMs += lastedMs
    if (holders.filter(cluster => this.#running.has(cluster)).length > 1) this.#bothMs += lastedMs
  }
}
