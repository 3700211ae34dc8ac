import type { Profile } from '../../decider/timing.ts'
import type { Random } from '../../lib/service/clock.ts'
import type { FleetOptions } from './fleet.ts'

export interface ClusterPlan {
  name: string
  priority: number
  pods: number
  entities: FleetOptions['entities']
  stale: number
  /** Its runners carry the main tag at first. */
  tagged: boolean
}

/** How a world is built; plain data, so that a seed is all that is needed to have it again. */
export interface WorldPlan {
  seed: number
  clusters: readonly ClusterPlan[]
  profile: Profile
  graphql: boolean
  /** One token for runners and another for the HADR project. */
  twoTokens: boolean
  latencyMs: number
  strength: 'count' | 'health'
  margin: number
}

export interface PlannedFault {
  kind: string
  atMs: number
  forMs: number
  /** Where; undefined: at whoever holds the main tag then, which is where most can break. */
  cluster: string | undefined
}

export interface Scenario {
  world: WorldPlan
  faults: readonly PlannedFault[]
  /** From here on nothing fails any more, but for what never ends. */
  healMs: number
  /** This cluster dies for good. */
  lost: string | undefined
}

export const NAMES = ['a', 'b', 'c', 'd', 'e'] as const

const MINUTE_MS = 60_000
/** Everything starts up undisturbed. */
const CALM_MS = 3 * MINUTE_MS

export interface FaultRange {
  kind: string
  /** Shortest and longest duration; drawn so that short ones are as likely as long ones. */
  forMs: readonly [number, number]
}

/**
 * A scenario from nothing but its seed. Each uses only a few kinds of faults, since rare combinations hide behind
 * common ones when everything fails all the time.
 */
export function createScenario(seed: number, random: Random, kinds: readonly FaultRange[]): Scenario {
  const world = createWorldPlan(seed, random)
  const chosen = shuffled(kinds, random).slice(0, 1 + Math.floor(random() * 5))
  const faultyMs = (10 + random() * 22) * MINUTE_MS
  const everyMs = (0.7 + random() * 4) * MINUTE_MS
  const faults: PlannedFault[] = []
  for (let atMs = CALM_MS + random() * everyMs; atMs < CALM_MS + faultyMs; atMs += everyMs * (0.2 + 1.6 * random())) {
    const { kind, forMs } = pick(chosen, random)
    const [minMs, maxMs] = forMs
    faults.push({
      kind,
      atMs: Math.round(atMs),
      forMs: Math.round(minMs * (maxMs / minMs) ** random()),
      cluster: random() < 0.4 ? undefined : pick(world.clusters, random).name,
    })
  }
  const lost = random() < 0.2 ? pick(world.clusters, random).name : undefined
  return { world, faults, healMs: Math.round(CALM_MS + faultyMs), lost }
}

function createWorldPlan(seed: number, random: Random): WorldPlan {
  const size = pick([2, 2, 2, 2, 3, 3, 3, 4, 5], random)
  const equal = random() < 0.4
  const pods = 1 + Math.floor(random() * 4)
  const start = pick(['first', 'first', 'first', 'none', 'all'] as const, random)
  const entities = pick(['shared', 'own', 'registered'] as const, random)
  return {
    seed,
    clusters: NAMES.slice(0, size).map((name, index) => ({
      name,
      priority: random() < 0.5 ? 0 : Math.floor(random() * 3),
      pods: equal ? pods : 1 + Math.floor(random() * 5),
      entities,
      stale: entities === 'shared' || random() < 0.8 ? 0 : 1 + Math.floor(random() * 3),
      tagged: start === 'all' || (start === 'first' && index === 0),
    })),
    profile: pick(['balanced', 'balanced', 'balanced', 'fast', 'gentle'] as const, random),
    graphql: random() < 0.7,
    twoTokens: random() < 0.3,
    latencyMs: 20 + random() * 180,
    strength: random() < 0.8 ? 'count' : 'health',
    margin: pick([1, 1, 2], random),
  }
}

export function pick<T>(items: readonly T[], random: Random): T {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items]
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const [a, b] = [result[last], result[other]]
    if (a === undefined || b === undefined) continue
    result[last] = b
    result[other] = a
  }
  return result
}
