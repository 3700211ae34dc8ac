import { decide as protocol } from '../../decider/decide.ts'
import { NO_MEMORY } from '../../decider/memory.ts'
import type { Memory } from '../../decider/model.ts'
import { createRandom } from '../support/random.ts'
import { FAULTS } from './faults/index.ts'
import { convergence, settledBest } from './liveness.ts'
import { type Violation, Safety } from './safety.ts'
import { type PlannedFault, type Scenario, createScenario } from './scenario.ts'
import type { Decide } from './site.ts'
import { Trace } from './trace.ts'
import { type World, createWorld, joined } from './world.ts'

export interface SeedResult {
  seed: number
  violations: readonly Violation[]
  virtualMs: number
  cycles: number
  handOvers: number
  excusedGaps: number
  faults: readonly string[]
  trace: readonly string[]
}

export interface SeedOptions {
  decide?: Decide
  trace?: boolean
  /** Only these kinds of faults. */
  kinds?: readonly string[]
  /** Also waits until every preference must have been followed, and for quiet after that. */
  long?: boolean
}

/** Every so many seeds the calm after the faults is watched for long. */
export const isLong = (seed: number) => seed % 10 === 0

const STEP_MS = 5000
const WARM_UP_MS = 75_000
/** The goal: one complete holder within 10 min after the last fault. */
const CONVERGED_WITHIN_MS = 600_000
const QUIET_MS = 600_000

/** Runs one seed from the first start of its deciders to the calm after its faults. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  const { kinds, long = isLong(seed) } = options
  const faults = kinds ? FAULTS.filter(({ kind }) => kinds.includes(kind)) : FAULTS
  const scenario = createScenario(seed, createRandom(seed), faults)
  return await runScenario(scenario, { ...options, long })
}

export async function runScenario(scenario: Scenario, options: SeedOptions = {}): Promise<SeedResult> {
  const rule = options.decide ?? protocol
  let cycles = 0
  let last: { previous: Memory; replay: () => string } = { previous: NO_MEMORY, replay: () => '' }
  const decide: Decide = (seen, previous, config) => {
    cycles++
    last = { previous, replay: () => JSON.stringify(rule(seen, previous, config)) }
    return rule(seen, previous, config)
  }
  const safety = new Safety((_seen, plan) => last.replay() === JSON.stringify(plan))
  const trace = new Trace()
  const watches = options.trace ? [trace, safety] : [safety]
  const world = createWorld(scenario.world, joined(watches), decide)
  safety.watch(world)
  trace.watch(world)
  if (options.trace) tellPlan(scenario, trace)

  const healthy = () => safety.violations.length === 0
  const runTo = async (atMs: number) => {
    while (healthy() && world.time.monotonicMs() < atMs) {
      await world.time.runTo(Math.min(atMs, world.time.monotonicMs() + STEP_MS))
    }
  }
  for (const site of world.sites) world.time.after(WARM_UP_MS + world.random() * 20_000, () => site.start())
  const endFaults = planFaults(scenario, world, (who, what) => options.trace && trace.line(who, what))
  await runTo(scenario.healMs)
  endFaults()
  if (options.trace) trace.line('world', `all faults end${scenario.lost ? `; ${scenario.lost} is lost for good` : ''}`)
  await world.control({})
  if (scenario.lost) world.site(scenario.lost).die()

  const convergedBy = scenario.healMs + CONVERGED_WITHIN_MS
  while (healthy() && convergence(world) !== undefined && world.time.monotonicMs() < convergedBy) {
    await runTo(world.time.monotonicMs() + STEP_MS)
  }
  const wrong = convergence(world)
  if (healthy() && wrong !== undefined) safety.fail('L1', `ten minutes after the faults: ${wrong}`)
  if (options.long) await watchCalm(world, safety, runTo)
  else await runTo(world.time.monotonicMs() + 120_000)

  for (const { rule: broken, text } of safety.violations) trace.line('BROKEN', `${broken}: ${text}`)
  const { violations, handOvers, excusedGaps } = safety
  const virtualMs = world.time.monotonicMs()
  world.close()
  return {
    seed: scenario.world.seed,
    violations,
    virtualMs,
    cycles,
    handOvers,
    excusedGaps,
    faults: [...new Set(scenario.faults.map(({ kind }) => kind))],
    trace: trace.lines,
  }
}

/** After every preference must have been followed: the best holds, and nobody writes a tag any more. */
async function watchCalm(world: World, safety: Safety, runTo: (atMs: number) => Promise<void>): Promise<void> {
  const { preferForMs, holdMinMs } = world.timing
  await runTo(world.time.monotonicMs() + preferForMs + holdMinMs + 120_000)
  if (safety.violations.length > 0) return
  const wrong = convergence(world) ?? settledBest(world)
  if (wrong !== undefined) safety.fail('L4', wrong)
  const before = world.gitlab.state.tagHistory.length
  await runTo(world.time.monotonicMs() + QUIET_MS)
  const writes = world.gitlab.state.tagHistory.slice(before).map(({ runnerId, by }) => `runner ${runnerId} by ${by}`)
  if (writes.length > 0) safety.fail('L3', `tags are written in the calm: ${writes.join(', ')}`)
}

function planFaults({ faults, healMs }: Scenario, world: World, tell: (who: string, what: string) => void) {
  const running = new Map<PlannedFault, { cluster: string; stop: () => void }>()
  const random = createRandom(world.plan.seed + 77_777)
  const end = (fault: PlannedFault) => {
    const begun = running.get(fault)
    if (!begun) return
    running.delete(fault)
    begun.stop()
    tell('world', `${fault.kind} ends at ${begun.cluster}`)
  }
  for (const fault of faults) {
    const kind = FAULTS.find(each => each.kind === fault.kind)
    if (!kind || fault.atMs >= healMs) continue
    world.time.after(fault.atMs, () => {
      const site = world.site(fault.cluster ?? [...world.holders()][0] ?? world.plan.clusters[0]?.name ?? '')
      tell('world', `${fault.kind} begins at ${site.name}, for ${Math.round(fault.forMs / 1000)} s`)
      const stop = kind.start({ world, site, random, forMs: fault.forMs })
      running.set(fault, { cluster: site.name, stop })
      world.time.after(fault.forMs, () => end(fault))
    })
  }
  return () => {
    for (const fault of [...running.keys()]) end(fault)
  }
}

function tellPlan({ world }: Scenario, trace: Trace): void {
  const clusters = world.clusters.map(
    ({ name, pods, entities, stale, priority, tagged }) =>
      `${name}: ${pods} pods, ${entities} entities${stale > 0 ? `, ${stale} stale` : ''}, priority ${priority}${tagged ? ', tagged' : ''}`,
  )
  trace.line(
    'world',
    `${world.profile}, ${world.strength}, margin ${world.margin}, ${world.graphql ? 'GraphQL' : 'REST'}${world.twoTokens ? ', two tokens' : ''}`,
  )
  for (const line of clusters) trace.line('world', line)
}
