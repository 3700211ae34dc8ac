import { randomInt } from 'node:crypto'
import t from 'tap'
import { DELETION_COST, planShrink } from '../../../decider/fleet/shrink.ts'
import type { KubernetesObject } from '../../../lib/kubernetes/types.ts'
import { rankForDeletion } from '../../../simulator/kubernetes/replica-order.ts'
import { createRandom } from '../../support/random.ts'
import { FleetWorld } from './fleet-world.ts'

const SEED = Number(process.env['SEED'] ?? randomInt(2 ** 31))
const SHRINKS = 1000
const TICK_MS = 5000

interface Options {
  /** Jobs may begin after everybody was asked and before the Deployment is changed. */
  races: boolean
  drains: boolean
}

/** Load that comes and goes until managers were given up so many times. */
async function playLoad(seed: number, shrinks: number, { races, drains }: Options) {
  const random = createRandom(seed)
  const world = new FleetWorld(1 + Math.floor(random() * 12), random)
  world.drains = drains
  world.readyAfterMs = () => random() * 20_000
  let started = 0
  const start = () => {
    if (world.startJob(5_000 + random() * 30_000)) started++
  }
  if (races) {
    world.onAsked = () => {
      if (random() < 0.5) start()
    }
  }
  const config = world.config({
    rules: { min: 1, max: 20, standby: 1, spare: 1, growBy: 10, windowMs: 10_000, stepMs: 4_000 },
    everyMs: 5_000,
    minGapMs: 1_000,
  })
  const keeper = world.keeper(config)
  keeper.use(world.situation())
  const stopping = new AbortController()
  const running = keeper.run(stopping.signal)
  let shrunk = 0
  let before = world.wanted
  let load = 0
  for (let tick = 0; shrunk < shrinks && tick < 40 * shrinks; tick++) {
    world.endJobs()
    // A burst, then calm until few are left: most of the time something is given up.
    if (world.wanted <= 2) load = 4 + Math.floor(random() * 8)
    else if (random() < 0.5) load = random() < 0.8 ? 0 : 1
    // Scraped before new jobs begin, so that Prometheus is always a little behind.
    if (tick % 2 === 0) world.scrape()
    // Nobody watches, and each list would walk through all that ever happened.
    world.core.state.forgetHistory()
    for (let job = 0; job < load; job++) start()
    await world.clock.advance(TICK_MS)
    shrunk += Math.max(0, before - world.wanted)
    before = world.wanted
  }
  stopping.abort(new Error('enough'))
  await world.clock.advance(1)
  await running
  return { world, shrunk, started }
}

t.test(`${SHRINKS} managers are given up and no job is killed, also where a pod ends at once`, async t => {
  t.comment(`SEED=${SEED}`)
  let shrunk = 0
  let started = 0
  for (let run = 0; shrunk < SHRINKS; run++) {
    const played = await playLoad(SEED + run, 200, { races: false, drains: false })
    t.equal(played.world.killed, 0, `seed ${SEED + run}: jobs killed`)
    t.same(played.world.wronged, [], `seed ${SEED + run}: pods with jobs given up beside an idle one`)
    if (!t.ok(played.shrunk > 0, `seed ${SEED + run}: it shrinks at all`)) return
    shrunk += played.shrunk
    started += played.started
  }
  t.ok(started > SHRINKS, `${started} jobs ran while ${shrunk} managers were given up`)
})

t.test('a job that begins in the last moment ends in peace, because its manager drains', async t => {
  t.comment(`SEED=${SEED}`)
  const { world, shrunk } = await playLoad(SEED, 100, { races: true, drains: true })
  t.equal(world.killed, 0)
  t.ok(shrunk >= 100)
})

const pod = (
  name: string,
  more: { node?: string; phase?: string; ready?: boolean; cost?: number },
): KubernetesObject => ({
  metadata: {
    name,
    ...(more.cost === undefined ? {} : { annotations: { [DELETION_COST]: String(more.cost) } }),
  },
  spec: { ...(more.node === '' ? {} : { nodeName: more.node ?? 'n' }) },
  status: {
    phase: more.phase ?? 'Running',
    conditions: [{ type: 'Ready', status: more.ready === false ? 'False' : 'True' }],
  },
})

t.test('with the costs of the plan, the first that Kubernetes gives up is idle or the plan says no', t => {
  t.comment(`SEED=${SEED}`)
  const random = createRandom(SEED)
  const pick = <T>(...of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  let allowed = 0
  for (let round = 0; round < 3000; round++) {
    const jobs = new Map<string, number | undefined>()
    const pods = Array.from({ length: 1 + Math.floor(random() * 6) }, (_, index) => {
      const name = `pod-${index}`
      const phase = pick('Pending', 'Running', 'Running', 'Running', 'Unknown')
      jobs.set(name, phase === 'Pending' ? 0 : pick(0, 0, 1, 5, undefined))
      return pod(name, {
        phase,
        ready: random() < 0.8,
        node: phase === 'Pending' ? pick('', 'n') : pick('n', 'm'),
        ...(random() < 0.5 ? { cost: pick(0, 3, 9, -2) } : {}),
      })
    })
    const plan = planShrink(pods, name => jobs.get(name))
    const priced = pods.map(each => {
      const cost = plan.costs.find(({ pod: name }) => name === each.metadata.name)?.cost
      const annotations = cost === undefined ? each.metadata.annotations : { [DELETION_COST]: String(cost) }
      return { ...each, metadata: { ...each.metadata, ...(annotations && { annotations }) } }
    })
    const [first] = rankForDeletion(priced)
    if (plan.danger !== undefined) continue
    allowed++
    const { name = '' } = (first as KubernetesObject | undefined)?.metadata ?? {}
    t.equal(jobs.get(name), 0, `round ${round}: ${name}`)
  }
  t.ok(allowed > 500, `${allowed} of 3000 may shrink`)
  t.end()
})

t.test('what could hit a manager with jobs is refused with the reason', t => {
  const busy = () => 2
  t.match(planShrink([pod('a', {}), pod('b', {})], busy).danger, /every manager has jobs/)
  t.match(
    planShrink([pod('a', { ready: false }), pod('b', {})], name => (name === 'a' ? 2 : 0)).danger,
    /a is not ready/,
  )
  t.match(planShrink([pod('a', {})], () => undefined).danger, /nobody knows whether a runs jobs/)
  t.equal(planShrink([pod('a', {}), pod('b', {})], name => (name === 'a' ? 2 : 0)).danger, undefined)
  t.equal(planShrink([pod('a', { phase: 'Pending', node: '' }), pod('b', {})], busy).danger, undefined)
  t.same(planShrink([pod('a', { cost: 2 }), pod('b', {})], busy).costs, [{ pod: 'b', cost: 2 }])
  t.end()
})
