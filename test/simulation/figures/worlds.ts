import { setMaxListeners } from 'node:events'
import type { Profile } from '../../../decider/timing.ts'
import type { ClusterPlan, WorldPlan } from '../scenario.ts'
import { Safety } from '../safety.ts'
import { type World, type WorldWatch, createWorld, joined } from '../world.ts'

setMaxListeners(0)

/** Deciders run, one cluster holds, and everything is calm. */
export interface CalmWorld {
  world: World
  safety: Safety
}

/** A cluster of three runners, each an entity of its own. */
export const CLUSTER = { priority: 0, pods: 3, entities: 'own', stale: 0 } satisfies Partial<ClusterPlan>

export function planOf(seed: number, profile: Profile, change: Partial<WorldPlan> = {}): WorldPlan {
  return {
    seed,
    clusters: [
      { ...CLUSTER, name: 'a', tagged: true },
      { ...CLUSTER, name: 'b', tagged: false },
    ],
    profile,
    graphql: true,
    twoTokens: false,
    latencyMs: 60,
    strength: 'count',
    margin: 1,
    ...change,
  }
}

const SETTLED_MS = 600_000

/** A world with cluster a holding, everything settled; deciders and scrapes at phases of chance. */
export async function calmWorld(plan: WorldPlan, watch?: WorldWatch, settledMs = SETTLED_MS): Promise<CalmWorld> {
  const safety = new Safety(() => true)
  const world = createWorld(plan, watch ? joined([watch, safety]) : safety)
  safety.watch(world)
  await world.time.runTo(75_000)
  world.site('a').start()
  await world.time.runTo(100_000)
  for (const site of world.sites) world.time.after(world.random() * 10_000, () => site.start())
  await world.time.runTo(settledMs + world.random() * 20_000)
  const [holder] = world.holders()
  if (holder !== 'a') throw new Error(`seed ${plan.seed}: ${holder ?? 'nobody'} holds at first`)
  return { world, safety }
}

export async function passed(world: World, ms: number): Promise<void> {
  await world.time.runTo(world.time.monotonicMs() + ms)
}

/** Violations are no figures. */
export function mustBeSafe({ violations }: Safety): void {
  const [first] = violations
  if (first) throw new Error(`${first.rule}: ${first.text}`)
}
