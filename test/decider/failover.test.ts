import t from 'tap'
import { type World, createWorld } from '../support/world.ts'

const PAIR = [{ name: 'a', tagged: true, priority: 2 }, { name: 'b' }]
const states = (world: World) =>
  Object.fromEntries(
    Object.values(world.clusters).map(({ name, decider }) => [name, decider?.status().pools[0]?.state]),
  )

async function settled(world: World): Promise<void> {
  for (const cluster of Object.values(world.clusters)) cluster.start()
  const standsBy = () => ['STANDBY', 'WAITING'].includes(states(world)['b'] ?? '')
  await world.until(() => states(world)['a'] === 'ACTIVE' && standsBy(), 60_000)
}

t.test('a cluster dies: the tag moves in about a minute, the dead one is fenced, nobody is ever without', async t => {
  const world = createWorld({ clusters: PAIR })
  await settled(world)
  await world.clock.advance(120_000)
  world.clusters['a']?.die()

  const moveMs = await world.until(() => world.holders().includes('b'), 120_000)
  t.ok(moveMs >= 45_000, `not before the heartbeat is missing for long: ${moveMs} ms`)
  const fenceMs = await world.until(() => world.holders().join() === 'b', 60_000)
  t.comment(`moved after ${moveMs} ms, fenced ${fenceMs} ms later`)
  t.equal(world.nobodyMs(), 0)
})

t.test('the dead cluster returns and stands by', async t => {
  const world = createWorld({ clusters: PAIR })
  await settled(world)
  world.clusters['a']?.die()
  await world.until(() => world.holders().join() === 'b', 200_000)
  await world.clock.advance(600_000)
  world.clusters['a']?.start()
  await world.clock.advance(1_800_000)

  t.same(world.holders(), ['b'])
  t.same(states(world), { a: 'STANDBY', b: 'ACTIVE' })
  t.equal(world.nobodyMs(), 0)
})

t.test('the stronger cluster gets the tag, but only when it is stronger for long', async t => {
  const world = createWorld({
    clusters: [
      { name: 'a', tagged: true, runners: 2 },
      { name: 'b', runners: 5 },
    ],
  })
  await settled(world)
  const moveMs = await world.until(() => world.holders().join() === 'b', 1_200_000)
  t.ok(moveMs > 850_000, `it had to wait for the minimum hold: ${moveMs} ms`)
  t.equal(world.nobodyMs(), 0)
  const changes = world.gitlab.state.tagHistory.length
  await world.clock.advance(3_600_000)
  t.equal(world.gitlab.state.tagHistory.length, changes, 'no flapping afterwards')
})

t.test('a cluster whose runners are all gone loses the tag to one that can serve', async t => {
  const world = createWorld({ clusters: PAIR })
  await settled(world)
  const { a } = world.clusters
  if (a) a.available = 0
  const moveMs = await world.until(() => world.holders().join() === 'b', 120_000)
  t.comment(`moved after ${moveMs} ms`)
  t.equal(world.nobodyMs(), 0)
})

t.test('a decider that dies alone costs no switch for an hour, since its runners still answer', async t => {
  const world = createWorld({ clusters: PAIR })
  await settled(world)
  const changes = world.gitlab.state.tagHistory.length
  world.clusters['a']?.killDecider()
  await world.until(() => states(world)['b'] === 'PEER_DECIDER_DOWN', 120_000)
  await world.clock.advance(3_000_000)
  t.equal(world.gitlab.state.tagHistory.length, changes)
  await world.until(() => world.holders().join() === 'b', 1_200_000)
  t.equal(world.nobodyMs(), 0)
})

t.test('Prometheus silent for ten minutes moves nothing', async t => {
  const world = createWorld({ clusters: PAIR })
  await settled(world)
  const changes = world.gitlab.state.tagHistory.length
  const { a } = world.clusters
  if (a) a.available = undefined
  await world.clock.advance(590_000)
  if (a) a.available = 1
  await world.clock.advance(300_000)
  t.equal(world.gitlab.state.tagHistory.length, changes)
})

t.test('first start with no tag anywhere: exactly one cluster ends up with it', async t => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const world = createWorld({ clusters: [{ name: 'a' }, { name: 'b' }, { name: 'c' }], seed })
    for (const cluster of Object.values(world.clusters)) cluster.start()
    await world.until(() => world.holders().length > 0, 60_000)
    await world.clock.advance(300_000)
    t.equal(world.holders().length, 1, `seed ${seed}: ${world.holders().join()}`)
    t.equal(world.nobodyMs(), 0)
  }
})

t.test('a GitLab outage of an hour moves nothing', async t => {
  const world = createWorld({ clusters: PAIR })
  await settled(world)
  const changes = world.gitlab.state.tagHistory.length
  const end = world.gitlab.faults.outage()
  await world.clock.advance(3_600_000)
  t.same(states(world), { a: 'HOLD', b: 'HOLD' })
  end()
  await world.clock.advance(600_000)
  t.equal(world.gitlab.state.tagHistory.length, changes)
  t.same(states(world), { a: 'ACTIVE', b: 'STANDBY' })
})

t.test('a quiet hour costs no tag write and at most 560 calls per decider', async t => {
  const world = createWorld({ clusters: PAIR })
  await settled(world)
  await world.clock.advance(60_000)
  const changes = world.gitlab.state.tagHistory.length
  const calls = () => world.gitlab.state.count({ caller: 'token:a' })
  const before = calls()
  await world.clock.advance(3_600_000)
  t.equal(world.gitlab.state.tagHistory.length, changes)
  t.comment(`${calls() - before} calls per hour`)
  t.ok(calls() - before <= 560)
  t.equal(world.gitlab.state.commitCount(101, 'hadr/a'), 2, 'the branch stays one commit deep')
})

t.test('without GraphQL the same happens over REST', async t => {
  const world = createWorld({ clusters: PAIR, graphql: false })
  await settled(world)
  world.clusters['a']?.killDecider()
  await world.until(() => states(world)['b'] === 'PEER_DECIDER_DOWN', 120_000)
  await world.clock.advance(600_000)
  t.same(world.holders(), ['a'], 'runners that answer keep their cluster alive')
  world.clusters['a']?.die()
  await world.until(() => world.holders().join() === 'b', 400_000)
  t.equal(world.nobodyMs(), 0)
})

t.test('a dry run decides the same and writes nothing at all', async t => {
  const world = createWorld({ clusters: PAIR, dryRun: 'b' })
  await settled(world)
  world.clusters['a']?.die()
  await world.until(() => states(world)['b'] === 'PROMOTING', 200_000)
  await world.clock.advance(300_000)
  t.same(world.holders(), ['a'])
  const { state } = world.gitlab
  const writes = state.requests.filter(
    ({ caller, method, route }) => caller === 'token:b' && method !== 'GET' && !route.includes('graphql'),
  )
  t.same(writes, [])
  t.equal(world.clusters['b']?.decider?.status().dryRun, true)
})
