import type { Job, JobStatus } from './model.ts'

/** One request as GitLab saw it. Never holds a token. */
export interface SeenRequest {
  atMs: number
  method: string
  /** `/runners/:id`, not the path that was asked for. */
  route: string
  /** `token:NAME`, `runner:ID`, `job:ID` or `anonymous`. */
  caller: string
  /** 0 when no answer went out: connection reset, lost reply, hang. */
  status: number
  /** Bytes of the answer's body. */
  bytes: number
}

/** One change of what a runner can be picked by; `pausedAfter` matters because a paused runner holds no tag. */
export interface TagChange {
  atMs: number
  runnerId: number
  before: readonly string[]
  after: readonly string[]
  pausedBefore: boolean
  pausedAfter: boolean
  /** `token:NAME`, `admin` for a change by the test, `registration`. */
  by: string
}

export interface JobChange {
  atMs: number
  job: Readonly<Job>
  before: JobStatus | null
  after: JobStatus
}

/** One push to a branch, as a webhook or the activity feed would tell it. */
export interface SeenPush {
  atMs: number
  projectId: number
  branch: string
  commitId: string
  forced: boolean
  /** The commit message asked for no pipeline. */
  skipCi: boolean
  by: string
}

export interface CountQuery {
  route?: string
  method?: string
  caller?: string
  status?: number
}

/** Memory of what happened, for tests: bounded logs that drop their oldest entry, counters that never forget. */
export class Observation {
  readonly requests: SeenRequest[] = []
  readonly tagHistory: TagChange[] = []
  readonly pushes: SeenPush[] = []
  readonly #counts = new Map<string, { key: Required<CountQuery>; count: number }>()
  readonly #tagListeners = new Set<(change: TagChange) => void>()
  readonly #jobListeners = new Set<(change: JobChange) => void>()

  constructor(readonly limit = 20_000) {}

  request(seen: SeenRequest): void {
    this.#remember(this.requests, seen)
    const { route, method, caller, status } = seen
    const id = JSON.stringify([route, method, caller, status])
    const counter = this.#counts.get(id) ?? { key: { route, method, caller, status }, count: 0 }
    counter.count++
    this.#counts.set(id, counter)
  }

  /** How many requests matched all that is given. */
  count(query: CountQuery = {}): number {
    const wanted = Object.entries(query)
    const matching = [...this.#counts.values()].filter(({ key }) =>
      wanted.every(([name, value]) => key[name as keyof CountQuery] === value),
    )
    return matching.reduce((sum, { count }) => sum + count, 0)
  }

  tagChange(change: TagChange): void {
    this.#remember(this.tagHistory, change)
    for (const listener of this.#tagListeners) listener(change)
  }

  jobChange(change: JobChange): void {
    for (const listener of this.#jobListeners) listener(change)
  }

  push(push: SeenPush): void {
    this.#remember(this.pushes, push)
  }

  /** The returned function ends the subscription. */
  onTagChange(listener: (change: TagChange) => void): () => void {
    this.#tagListeners.add(listener)
    return () => this.#tagListeners.delete(listener)
  }

  onJobChange(listener: (change: JobChange) => void): () => void {
    this.#jobListeners.add(listener)
    return () => this.#jobListeners.delete(listener)
  }

  #remember<T>(log: T[], entry: T): void {
    log.push(entry)
    if (log.length > this.limit) log.shift()
  }
}
