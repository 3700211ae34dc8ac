import {
  type GitLabClient,
  type GitLabErrorKind,
  type GitLabRunner,
  type PoolReading,
  GitLabError,
} from '../../lib/gitlab/types.ts'
import type { Clock } from '../../lib/service/clock.ts'

/** A clock that moves only when somebody sleeps on it or a test moves it. */
export class HandClock implements Clock {
  nowMs = 1000
  private timers: { atMs: number; callback: () => void }[] = []

  monotonicMs = () => this.nowMs
  wallMs = () => 1_700_000_000_000 + this.nowMs

  advance(ms: number): void {
    this.nowMs += ms
    const due = this.timers.filter(timer => timer.atMs <= this.nowMs)
    this.timers = this.timers.filter(timer => timer.atMs > this.nowMs)
    for (const { callback } of due) callback()
  }

  sleep(ms: number): Promise<void> {
    this.advance(ms)
    return Promise.resolve()
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { atMs: this.nowMs + ms, callback }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter(other => other !== timer)
    }
  }
}

export type Call = 'read' | 'get' | 'put' | 'wake' | 'publish' | 'history' | 'default'

/** What becomes of a call: it fails without effect, or takes effect and its answer is lost. */
export interface Fault {
  kind: GitLabErrorKind
  applied?: boolean
}

/**
 * The few calls of a decider on two maps. `log` holds every call that arrived, in words; `fault` may fail one, and
 * `onCall` is awaited before each, so that a test can hold it, move the clock or change the world.
 */
export class FakeGitLab implements GitLabClient {
  readonly log: string[] = []
  readonly runners = new Map<number, GitLabRunner>()
  /** By `branch:path`. */
  readonly files = new Map<string, string>()
  fault: (call: Call, subject: string) => Fault | undefined = () => undefined
  onCall: (call: Call, subject: string) => Promise<void> | void = () => undefined

  constructor(readonly clock: HandClock) {}

  add(id: number, ...tags: string[]): void {
    const rest = { description: null, paused: false, online: true, locked: true, contactedAtMs: this.serverNowMs() }
    this.runners.set(id, { id, tags, ...rest })
  }

  tagsOf(id: number): readonly string[] {
    return this.runners.get(id)?.tags ?? []
  }

  private async call<T>(call: Call, subject: string, effect: () => T): Promise<T> {
    this.log.push(subject === '' ? call : `${call} ${subject}`)
    await this.onCall(call, subject)
    const fault = this.fault(call, subject)
    if (!fault) return effect()
    if (fault.applied) effect()
    throw new GitLabError(fault.kind, `${call} of the test`, 'as the test wants it')
  }

  private existing(id: number): GitLabRunner {
    const runner = this.runners.get(id)
    if (!runner) throw new GitLabError('not_found', 'GET /runners/:id', 'no such runner')
    return runner
  }

  private change(id: number, change: Partial<GitLabRunner>): GitLabRunner {
    const changed = { ...this.existing(id), ...change }
    this.runners.set(id, changed)
    return changed
  }

  runner(id: number) {
    return this.call('get', String(id), () => this.existing(id))
  }

  replaceTags(id: number, tags: readonly string[]) {
    return this.call('put', `${id} ${tags.join(',')}`, () => this.change(id, { tags: [...tags] }))
  }

  wake(id: number, locked: boolean) {
    return this.call('wake', `${id} ${locked}`, () => this.change(id, { contactedAtMs: this.serverNowMs() + 1 }))
  }

  readPool(wanted: { tags: readonly string[]; files: readonly { branch: string; path: string }[] }) {
    return this.call('read', '', (): PoolReading => ({
      serverMs: this.serverNowMs(),
      runners: [...this.runners.values()].filter(({ tags }) => tags.some(tag => wanted.tags.includes(tag))),
      tagsComplete: true,
      contactKnown: true,
      files: wanted.files.map(({ branch, path }) => this.files.get(`${branch}:${path}`) ?? null),
    }))
  }

  replaceBranchFile(write: { branch: string; path: string; content: string }) {
    const { seq } = JSON.parse(write.content) as { seq: number }
    return this.call('publish', `${write.branch} ${seq}`, () => {
      this.files.set(`${write.branch}:${write.path}`, write.content)
      return { commitId: 'c' }
    })
  }

  createFile(write: { branch: string; path: string; content: string }) {
    const key = `${write.branch}:${write.path}`
    return this.call('history', write.path, () => {
      if (this.files.has(key)) throw new GitLabError('conflict', 'POST files', 'exists')
      this.files.set(key, write.content)
    })
  }

  putPackageFile() {
    return Promise.reject(new Error('the decider itself publishes no packages'))
  }

  defaultBranch() {
    return this.call('default', '', () => ({ name: 'main', commitId: 'start' }))
  }

  serverNowMs = () => 1_800_000_000_000 + this.clock.nowMs

  groupRunnerTotal = () => this.unused()
  runnersWithManager = () => this.unused()
  groupRunnerPage = () => this.unused()
  managers = () => this.unused()

  private unused(): Promise<never> {
    return Promise.reject(new GitLabError('refused', 'an endpoint', 'no decider calls this'))
  }
}
