import type { ClusterPlan } from '../../simulation/scenario.ts'
import { MAIN_TAG } from '../../simulation/world.ts'
import { calmWorld, CLUSTER, mustBeSafe, passed, planOf } from '../../simulation/figures/worlds.ts'

/** A planned switch, counted from the decision of the cluster that takes over. */
export interface Switch {
  what: string
  /** Until the first of its runners has the main tag. */
  firstSeconds: number
  /** Until all of its runners have it and none of the other cluster's. */
  allSeconds: number
  /** Requests that GitLab's limit refused. */
  refused: number
}

const SHAPES: readonly { what: string; change: Pick<ClusterPlan, 'pods' | 'entities'> }[] = [
  { what: '2 shared runners', change: { pods: 3, entities: 'shared' } },
  { what: '2 × 200 single runners', change: { pods: 200, entities: 'own' } },
]
/** An administrator's limit of ten requests per second and user. */
const LIMIT = { requests: 600, periodSeconds: 60 }
/** How exactly times are told; a decision counts from the beginning of its step. */
const STEP_MS = 20
const LONGEST_MS = 600_000

const nothing = () => undefined

/** Real deciders on virtual time, 60 ms from GitLab; somebody pins the main tag to cluster b. */
export async function measureSwitches(): Promise<Switch[]> {
  const switches: Switch[] = []
  for (const shape of SHAPES) switches.push(await measureSwitch(shape))
  return switches
}

async function measureSwitch({ what, change }: (typeof SHAPES)[number]): Promise<Switch> {
  let decisions = 0
  const clusters = ['a', 'b'].map((name, index) => ({ ...CLUSTER, name, tagged: index === 0, ...change }))
  const { world, safety } = await calmWorld(planOf(1, 'balanced', { clusters }), {
    onPlan: ({ name }, _seen, { step }) => {
      if (name === 'b' && step.kind === 'promote') decisions++
    },
    ...{ onRequest: nothing, onAnswer: nothing, onLife: nothing, onTagChange: nothing, onFile: nothing },
  })
  const { state } = world.gitlab
  state.throttle(LIMIT)
  const times = { decidedMs: NaN, firstMs: NaN, lastMs: NaN }
  state.onTagChange(({ after }) => {
    times.lastMs = world.time.monotonicMs()
    if (after.includes(MAIN_TAG) && Number.isNaN(times.firstMs)) times.firstMs = times.lastMs
  })
  const until = new Date(world.time.wallMs() + 24 * 3_600_000).toISOString()
  decisions = 0
  await world.control({ pin: { to: 'b', until, by: 'benchmark', why: 'a planned switch' } })
  const isDone = () =>
    state.runners().every(({ tags }) => tags.includes(MAIN_TAG) === (world.clusterOf({ tags }) === 'b'))
  for (let passedMs = 0; !isDone() && passedMs < LONGEST_MS; passedMs += STEP_MS) {
    await passed(world, STEP_MS)
    if (decisions > 0 && Number.isNaN(times.decidedMs)) times.decidedMs = world.time.monotonicMs() - STEP_MS
  }
  if (!isDone()) throw new Error(`${what}: the switch did not come to an end`)
  mustBeSafe(safety)
  world.close()
  return {
    what,
    firstSeconds: (times.firstMs - times.decidedMs) / 1000,
    allSeconds: (times.lastMs - times.decidedMs) / 1000,
    refused: state.count({ status: 429 }),
  }
}
