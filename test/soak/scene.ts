import { join } from 'node:path'
import { poolReport } from '../../cli/demo/reports.ts'
import { createStage, type Stage } from '../../cli/demo/stage.ts'
import { HADR_PROJECT_ID, MAIN_TAG } from '../../cli/demo/stage-options.ts'
import { systemClock, type Random } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import { memoryOf, handlesOf, type Memory } from '../bench/process.ts'
import { reviewBodies } from '../bench/webhook/bodies.ts'
import { startContest } from '../bench/webhook/contestants.ts'
import { startChaosProxy, type ChaosProxy } from '../support/chaos-proxy.ts'
import { until } from '../support/until.ts'
import { startLoadGenerator } from '../bench/webhook/load/client.ts'
import { keepBody } from '../bench/webhook/throughput.ts'
import { Nuisance } from './nuisance.ts'

/** One of the project's programs, under observation. */
export interface Subject {
  name: string
  pid: number
  /** Where it answers `/livez`. */
  opsUrl: string
}

export interface Observation extends Memory {
  sockets: number
  others: number
  /** How long `/livez` took, which costs nothing: what the event loop was busy with before. */
  delayMs: number
}

export interface Scene {
  subjects: readonly Subject[]
  /** What happened so far, in words. */
  story(): string
  stop(): Promise<void>
}

export interface SceneOptions {
  programs: string
  folder: string
  random: Random
  say: (line: string) => void
}

/** Every duration of the programs but the webhook's, so that half an hour holds five hours of their lives. */
const TIME_SCALE = 0.1
const CHANCES = { late: 0.1, lost: 0.03, unanswered: 0.03, truncated: 0.03, half_open: 0.01 }
const LATE_MS = 200
const SWITCH_EVERY_MS = 30_000
const START_MS = 180_000
const REVIEWS_PER_SECOND = 50
const LOAD_MS = 3000
const ADMIN = 'glpat-administrator'

/**
 * Two clusters of runners, sidecars and deciders, and a webhook, all as processes. GitLab and Prometheus are behind proxies
 * that break, delay and lose; GitLab itself fails besides; people switch to and fro; the webhook gets reviews of all sizes,
 * and clients that misbehave.
 */
export async function startScene({ programs, folder, random, say }: SceneOptions): Promise<Scene> {
  const proxies: ChaosProxy[] = []
  const ending = new AbortController()
  const proxied = async (target: string) => {
    const proxy = await startChaosProxy({ target, chances: CHANCES, lateMs: LATE_MS, clock: systemClock, random })
    proxies.push(proxy)
    return proxy.url
  }
  const stage = await createStage({
    timeScale: TIME_SCALE,
    clusters: ['a', 'b'],
    runnersPerCluster: 2,
    realPrometheus: false,
    programs,
    folder: join(folder, 'stage'),
    clock: systemClock,
    random,
    log: silentLog,
    reroute: async (_cluster, { gitlab, prometheus }) => ({
      gitlab: await proxied(gitlab),
      prometheus: await proxied(prometheus),
    }),
    signal: ending.signal,
  })
  const { state, faults } = stage.gitlab
  state.addToken({ token: ADMIN, name: ADMIN, scopes: ['api'], admin: true })
  await Promise.all(stage.clusters.map(cluster => cluster.start()))
  await until('somebody claims', START_MS, async () => {
    const reports = await Promise.all(stage.clusters.map(poolReport))
    return reports.some(report => report?.state === 'ACTIVE')
  })
  say('the main tag is served')
  // After the start: what is measured is how programs live with faults.
  faults.add({ fault: { kind: 'status', status: 502 }, probability: 0.03, caller: 'token:sidecar-a' })
  faults.add({ fault: { kind: 'reset' }, probability: 0.03 })
  faults.add({ fault: { kind: 'throttled', retryAfterSeconds: 1 }, probability: 0.02 })
  faults.add({ fault: { kind: 'truncated' }, probability: 0.02 })
  faults.add({ fault: { kind: 'hang' }, probability: 0.002 })

  const bodies = reviewBodies().slice(0, 3)
  const [small] = bodies
  if (small === undefined) throw new Error('there are no reviews')
  const contest = await startContest({ folder, programs, review: small.text, say, names: [] })
  const [webhook] = contest.contestants
  if (webhook === undefined) throw new Error('the webhook does not run')
  const load = startLoadGenerator(join(programs, 'load-generator.cjs'))
  const nuisance = new Nuisance(webhook.endpoint, random)
  const told = { reviews: 0, switches: 0 }

  async function reviewForEver(): Promise<void> {
    const files = await Promise.all(bodies.map(body => keepBody(folder, body)))
    for (let turn = 0; !ending.signal.aborted; turn++) {
      const bodyFile = files[turn % files.length] ?? ''
      const task = { endpoint: webhook?.endpoint ?? contestError(), bodyFile, connections: 5, ms: LOAD_MS }
      told.reviews += (await load.run({ ...task, perSecond: REVIEWS_PER_SECOND })).exchanges
      webhook?.program.forget()
    }
  }
  async function switchForEver(): Promise<void> {
    for (;;) {
      await systemClock.sleep(SWITCH_EVERY_MS, ending.signal)
      await pin(stage, told.switches++ % 2 === 0 ? 'b' : 'a')
    }
  }
  let failure: unknown
  const background = [reviewForEver(), switchForEver(), nuisance.run(ending.signal)].map(work =>
    work.catch((error: unknown) => {
      if (!ending.signal.aborted) failure ??= error
    }),
  )
  const subjects = [
    { name: 'webhook', pid: webhook.program.pid, opsUrl: contest.opsUrl },
    ...stage.clusters.flatMap(cluster => {
      const { name, deciderUrl, sidecarUrls } = cluster
      const all = cluster
        .programs()
        .filter(({ name: program }) => program.endsWith('-sidecar') || program === `decider-${name}`)
      return all.map(program => ({
        name: program.name,
        pid: program.pid ?? 0,
        opsUrl: program.name.startsWith('decider') ? deciderUrl : (sidecarUrls[podOf(program.name)] ?? ''),
      }))
    }),
  ]
  return {
    subjects,
    story: () => {
      if (failure !== undefined) throw new Error('the soak itself failed', { cause: failure })
      const mishaps = proxies.reduce((sum, { seen }) => sum + Object.values(seen).reduce((a, b) => a + b, 0), 0)
      const moves = state.tagHistory.length
      return `${told.reviews} reviews, ${nuisance.count} bad clients, ${state.count()} GitLab requests, ${mishaps} mishaps on the way, ${told.switches} wishes of people, ${moves} tag writes`
    },
    stop: async () => {
      ending.abort(new Error('the soak ends'))
      await stage.close()
      await Promise.all(proxies.map(proxy => proxy.close()))
      await load.stop()
      await contest.stop()
      await Promise.all(background)
    },
  }
}

/** Rejects when the process is gone or does not answer: nothing that happens here may end a program. */
export async function observe({ name, pid, opsUrl }: Subject): Promise<Observation> {
  try {
    const startMs = performance.now()
    const answer = await fetch(`${opsUrl}/livez`, { signal: AbortSignal.timeout(10_000) })
    await answer.text()
    if (!answer.ok) throw new Error(`/livez answers ${answer.status}`)
    return { ...memoryOf(pid), ...handlesOf(pid), delayMs: performance.now() - startMs }
  } catch (error) {
    throw new Error(`${name} does not live`, { cause: error })
  }
}

function podOf(sidecar: string): number {
  return Number(/-(\d+)-sidecar$/.exec(sidecar)?.[1])
}

function contestError(): never {
  throw new Error('the webhook does not run')
}

/** As people do it; that GitLab may fail them is part of it. */
async function pin({ gitlab }: Stage, cluster: string): Promise<void> {
  const file = `${gitlab.url}/api/v4/projects/${HADR_PROJECT_ID}/repository/files/control.json`
  const exists = gitlab.state.readFile(HADR_PROJECT_ID, 'main', 'control.json') !== undefined
  const wish = { to: cluster, until: new Date(gitlab.state.nowMs() + 120_000).toISOString(), by: 'ann', why: 'soak' }
  const content = JSON.stringify({ schema: 1, pools: { [MAIN_TAG]: { pin: wish } } })
  await fetch(file, {
    method: exists ? 'PUT' : 'POST',
    headers: { 'private-token': ADMIN, 'content-type': 'application/json' },
    body: JSON.stringify({ branch: 'main', commit_message: `Serve from ${cluster}`, content }),
    signal: AbortSignal.timeout(5000),
  }).catch(() => undefined)
}
