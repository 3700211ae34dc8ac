import { setMaxListeners } from 'node:events'
import t from 'tap'
import type { HttpRequest } from '../../lib/http/transport.ts'
import { CLUSTER, calmWorld, passed, planOf } from './figures/worlds.ts'
import { convergence } from './liveness.ts'
import type { Site } from './site.ts'
import { type World, type WorldWatch, MAIN_TAG } from './world.ts'

// Virtual time asks much of a processor; a busy machine is no failure.
t.setTimeout(1_200_000)
setMaxListeners(0)

/**
 * Between two calls a decider only computes, so these are all the places where a crash makes a difference: a call has not
 * been sent, is on its way, or was carried out and the answer comes to nobody. "After the answer" is "before the next call".
 */
const PHASES = ['unsent', 'on its way', 'carried out'] as const
type Phase = (typeof PHASES)[number]

/** Kills one cluster's decider at its `at`th call after `arm`, and starts it again five seconds later. */
class Crash implements WorldWatch {
  calls: string[] = []
  happened = false
  #armed = false
  #revive: (() => void) | undefined

  constructor(
    readonly cluster: string,
    readonly at: number,
    readonly phase: Phase,
  ) {}

  arm(): void {
    this.#armed = true
  }

  onRequest(site: Site, { method, url }: HttpRequest): void {
    if (!this.#armed || site.name !== this.cluster || this.happened) return
    this.calls.push(`${method} ${new URL(url).pathname}`)
    if (this.calls.length !== this.at || this.phase === 'carried out') return
    this.happened = true
    if (this.phase === 'unsent') this.#kill(site)
    else queueMicrotask(() => this.#kill(site))
  }

  onAnswer(site: Site): void {
    if (!this.#armed || site.name !== this.cluster || this.happened || this.calls.length < this.at) return
    this.happened = true
    this.#kill(site)
  }

  onPlan(): void {
    // Crashes are at calls.
  }

  onLife(): void {
    // Only this test ends lives.
  }

  onTagChange(): void {
    // The safety checks look at tags.
  }

  onFile(): void {
    // The safety checks look at files.
  }

  #kill(site: Site): void {
    this.#revive = site.killDecider()
    site.options.time.after(5000, () => this.#revive?.())
  }
}

interface Flow {
  name: string
  /** Whose decider crashes. */
  cluster: string
  begin(world: World): void | Promise<void>
  /** Until the decider's calls are counted: from here on they carry the flow out. */
  isAbout(world: World): boolean
  isOver(world: World): boolean
  /** How much longer it may take when the crash comes before the claim is out. */
  beforeClaimMs: number
}

/** The decider is away for five seconds, then each of its cycles takes up to 10.5 s and the calls in it. */
const THREE_CYCLES_MS = 5000 + 3 * 10_500 + 2000
/** A decider that starts with an inactive file cannot know how long ago it turned so. */
const QUARANTINE_MS = 60_000
/** Silence, probe and fence are counted anew. */
const DETECTION_MS = 130_000
/** A flow has no more calls than this before its cluster is through with it. */
const MOST_CALLS = 14

const pinned = (world: World) =>
  world.control({
    pin: { to: 'b', until: new Date(world.time.wallMs() + 86_400_000).toISOString(), by: 'ann', why: 'test' },
  })

/** Runners of a cluster without the main tag. */
const lacking = (world: World, cluster: string) =>
  world.gitlab.state.runners().filter(runner => world.clusterOf(runner) === cluster && !runner.tags.includes(MAIN_TAG))
    .length

const FLOWS: readonly Flow[] = [
  {
    name: 'promoting',
    cluster: 'b',
    begin: pinned,
    isAbout: () => true,
    isOver: world => lacking(world, 'b') === 0,
    beforeClaimMs: QUARANTINE_MS,
  },
  {
    name: 'yielding',
    cluster: 'a',
    begin: pinned,
    isAbout: world => world.files.get('b')?.active === true,
    isOver: world => !world.holders().has('a'),
    beforeClaimMs: 0,
  },
  {
    name: 'taking over from the dead and fencing them',
    cluster: 'b',
    begin: world => void world.site('a').die(),
    isAbout: world => world.time.monotonicMs() - (world.site('a').deadSinceMs ?? 0) > 85_000,
    isOver: world => lacking(world, 'b') === 0,
    beforeClaimMs: DETECTION_MS,
  },
]

const CLUSTERS = [
  { ...CLUSTER, name: 'a', pods: 2, tagged: true },
  { ...CLUSTER, name: 'b', pods: 2, tagged: false },
]

async function crash(flow: Flow, at: number, phase: Phase) {
  const watch = new Crash(flow.cluster, at, phase)
  const { world, safety } = await calmWorld(planOf(3, 'balanced', { clusters: CLUSTERS }), watch, 240_000)
  await flow.begin(world)
  while (!flow.isAbout(world)) await passed(world, 100)
  watch.arm()
  while (!flow.isOver(world) && !watch.happened) await passed(world, 100)
  const startMs = world.time.monotonicMs()
  const claimed = world.files.get(flow.cluster)?.active === true
  const allowedMs = THREE_CYCLES_MS + (claimed ? 0 : flow.beforeClaimMs)
  const until = async (holds: () => boolean) => {
    while (!holds() && world.time.monotonicMs() - startMs < 300_000) await passed(world, 250)
    return world.time.monotonicMs() - startMs
  }
  const tookMs = await until(() => flow.isOver(world))
  await until(() => convergence(world) === undefined)
  const wrong = convergence(world)
  const before = world.gitlab.state.tagHistory.length
  await passed(world, 60_000)
  const later = world.gitlab.state.tagHistory.length - before
  world.close()
  return {
    happened: watch.happened,
    calls: watch.calls,
    tookMs,
    allowedMs,
    wrong,
    later,
    violations: safety.violations,
  }
}

for (const flow of FLOWS) {
  t.test(`${flow.name}: whichever call the decider dies at, nothing is lost and it is soon over`, async t => {
    let cases = 0
    let longestMs = 0
    for (const phase of PHASES) {
      for (let at = 1; at <= MOST_CALLS; at++) {
        const { happened, calls, tookMs, allowedMs, wrong, later, violations } = await crash(flow, at, phase)
        if (!happened) break
        cases++
        longestMs = Math.max(longestMs, tookMs)
        const where = `call ${at}, ${calls.at(-1) ?? ''}, ${phase}`
        const late = tookMs <= allowedMs ? [] : [`over after ${tookMs} ms`]
        const restless = later === 0 ? [] : [`${later} tag changes afterwards`]
        t.strictSame([...violations, ...late, ...(wrong === undefined ? [] : [wrong]), ...restless], [], where)
      }
    }
    t.comment(`${cases} crashes, over after ${longestMs} ms at most`)
    t.ok(cases >= 12)
  })
}
