import type { GitLabCore } from '../../simulator/gitlab/core.ts'
import type { VirtualTime } from './time.ts'

/** What a pod's sidecar says; `unknown`: it says nothing. */
export type Saying = 'available' | 'unavailable' | 'unknown'

export interface Pod {
  name: string
  runnerId: number
  bornMs: number
  goneMs?: number
  /** What its sidecar said since when; the newest last. */
  said: { atMs: number; saying: Saying }[]
  life: AbortController
}

export interface FleetOptions {
  name: string
  tag: string
  group: number
  pods: number
  /** `shared`: all pods know one token; `own`: each has its own entity; `registered`: each new pod makes a new one. */
  entities: 'shared' | 'own' | 'registered'
  /** Entities of pods that are long gone. */
  stale: number
  mainTag: string
  tagged: boolean
}

/** How long a pod takes until it asks for jobs, and how long a stopped one is still shown. */
const START_MS = 12_000
const STOP_MS = 8_000
/** After so long without an answer a sidecar no longer says that its runner can take jobs. */
const CONTACT_STALE_MS = 90_000

/** One cluster's runner pods: they ask GitLab for jobs, and their sidecars say whether they can take some. */
export class Fleet {
  readonly pods: Pod[] = []
  readonly #entityIds: number[] = []
  #made = 0
  #inhibitions = 0
  readonly #broken: number[] = []

  constructor(
    readonly options: FleetOptions,
    private readonly time: VirtualTime,
    private readonly gitlab: GitLabCore,
  ) {
    const { pods, entities, stale, tagged } = options
    for (let index = 0; index < stale; index++) this.#entity(tagged)
    const count = entities === 'shared' ? 1 : pods
    for (let index = 0; index < count; index++) this.#entityIds.push(this.#entity(tagged))
    this.#startAll()
  }

  /** Pods that are there, whatever they can do. */
  present(): Pod[] {
    return this.pods.filter(pod => pod.goneMs === undefined)
  }

  /** Pods that could take a job now, if their runner carried its tag. */
  able(): number {
    return this.present().filter(pod => pod.said.at(-1)?.saying === 'available').length
  }

  /** The cluster dies, or returns: nested, since several things can kill it. */
  inhibit(): () => void {
    if (this.#inhibitions++ === 0) for (const pod of this.present()) this.#end(pod)
    return () => {
      if (--this.#inhibitions === 0) this.#startAll()
    }
  }

  /** The first `count` pods say that they cannot take jobs, and ask for none. */
  breakPods(count: number): () => void {
    this.#broken.push(count)
    for (const pod of this.present()) if (this.#isBroken(pod)) this.#say(pod, 'unavailable')
    return () => {
      this.#broken.splice(this.#broken.indexOf(count), 1)
      for (const pod of this.present()) if (!this.#isBroken(pod)) this.#say(pod, 'unknown')
    }
  }

  /** Every pod is replaced, `atOnce` at a time; the next ones when those are up. */
  async roll(atOnce: number): Promise<void> {
    const old = this.present()
    for (let index = 0; index < old.length; index += atOnce) {
      for (const pod of old.slice(index, index + atOnce)) void this.#replace(pod)
      await this.time.sleep(START_MS + STOP_MS)
    }
  }

  /** What a scrape at `atMs` finds; undefined: the pod was not there. */
  saidAt(pod: Pod, atMs: number): Saying | undefined {
    if (pod.bornMs > atMs) return undefined
    return pod.said.findLast(({ atMs: since }) => since <= atMs)?.saying ?? 'unknown'
  }

  async #replace(pod: Pod): Promise<void> {
    if (pod.goneMs !== undefined) return
    pod.life.abort(new Error('told to stop'))
    this.#say(pod, 'unavailable')
    const runnerId = this.options.entities === 'registered' ? this.#registered(pod) : pod.runnerId
    this.#start(runnerId)
    await this.time.sleep(STOP_MS)
    this.#end(pod)
  }

  /** A pod with a registration token becomes a runner of its own; the old entity stays behind, tags and all. */
  #registered(pod: Pod): number {
    const index = this.#entityIds.indexOf(pod.runnerId)
    const id = this.#entity(false)
    if (index !== -1) this.#entityIds[index] = id
    return id
  }

  #startAll(): void {
    const { pods } = this.options
    for (let index = 0; index < pods; index++) {
      const runnerId = this.#entityIds[index % this.#entityIds.length]
      if (runnerId !== undefined) this.#start(runnerId)
    }
  }

  #start(runnerId: number): void {
    if (this.#inhibitions > 0) return
    const pod: Pod = {
      name: `${this.options.name}-${this.#made++}`,
      runnerId,
      bornMs: this.time.monotonicMs(),
      said: [],
      life: new AbortController(),
    }
    this.pods.push(pod)
    if (this.pods.length > 200)
      this.pods.splice(
        0,
        this.pods.findIndex(({ goneMs }) => goneMs === undefined),
      )
    void this.#poll(pod)
  }

  #end(pod: Pod): void {
    if (pod.goneMs !== undefined) return
    pod.goneMs = this.time.monotonicMs()
    pod.life.abort(new Error('the pod is gone'))
  }

  #entity(tagged: boolean): number {
    const { name, tag, mainTag, group } = this.options
    const tags = [tag, 'docker', `note-${name}`, ...(tagged ? [mainTag] : [])]
    return this.gitlab.state.addRunner({ description: `runner of ${name}`, tags, group }).id
  }

  #say(pod: Pod, saying: Saying): void {
    if (pod.said.at(-1)?.saying === saying) return
    pod.said.push({ atMs: this.time.monotonicMs(), saying })
    if (pod.said.length > 20) pod.said.shift()
  }

  #isBroken(pod: Pod): boolean {
    return this.present().indexOf(pod) < Math.max(0, ...this.#broken)
  }

  /** What an idle runner does: asks for jobs, waits as long as GitLab lets it, and asks again. */
  async #poll(pod: Pod): Promise<void> {
    const { signal } = pod.life
    const { time, gitlab } = this
    const sleep = (ms: number) => time.sleep(ms, signal).catch(() => undefined)
    await sleep(START_MS)
    let lastUpdate = ''
    let goodMs = time.monotonicMs()
    while (!signal.aborted) {
      if (this.#isBroken(pod)) {
        this.#say(pod, 'unavailable')
        await sleep(3000)
        continue
      }
      let good = false
      try {
        const { token } = gitlab.state.runner(pod.runnerId)
        const answer = await gitlab.handle({
          method: 'POST',
          path: '/api/v4/jobs/request',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ token, system_id: pod.name, last_update: lastUpdate, info: {} }),
          signal,
        })
        good = answer.status === 204 || answer.status === 201
        // Workhorse's own 204 names none; a runner keeps the last one then.
        lastUpdate = answer.headers['x-gitlab-last-update'] ?? lastUpdate
      } catch {
        // A broken connection is tried again, as a runner does.
      }
      if (pod.life.signal.aborted) return
      if (good) goodMs = time.monotonicMs()
      if (!this.#isBroken(pod)) {
        if (good) this.#say(pod, 'available')
        else if (time.monotonicMs() - goodMs > CONTACT_STALE_MS) this.#say(pod, 'unknown')
      }
      await sleep(3000)
    }
  }
}
