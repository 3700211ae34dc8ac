import t from 'tap'
import type { HttpTransport } from '../../lib/http/transport.ts'
import { type Replica, createReplicas, roleOf, stateOf } from './replicas.ts'

type Replicas = ReturnType<typeof createReplicas>

/** Cluster a with two processes, the first one leading, and cluster b standing by. */
async function pair(seed = 1) {
  const world = createReplicas({ seed })
  const first = world.start('a')
  await world.until('the first leads', () => roleOf(first) === 'leader', 5000)
  const second = world.start('a')
  await world.until('a serves', () => stateOf(first) === 'ACTIVE', 60_000)
  const other = world.start('b')
  await world.until('a serves', () => stateOf(first) === 'ACTIVE' && stateOf(other) === 'STANDBY', 60_000)
  return { world, first, second, other }
}

const callsOf = ({ gitlab }: Replicas) => gitlab.state.count({ caller: 'token:a' })
const metric = async ({ registry }: Replica, name: string) => {
  const text = await registry.metrics()
  return text.split('\n').filter(line => line.startsWith(`gitlab_runner_hadr_decider_${name}`))
}

t.test('a replica that does not lead is live and ready, tells who leads, and has no pools', async t => {
  const { world, second } = await pair()
  t.match(second.decider.status(), { role: 'standby', leader: 'a-1', pools: [] })
  t.equal(second.decider.alive(), true)
  t.equal(second.decider.ready(), true)
  t.same(await metric(second, 'leader'), ['gitlab_runner_hadr_decider_leader 0'])
  t.same((await metric(second, 'state')).concat(await metric(second, 'holders')), [])
  const { seq } = JSON.parse(world.gitlab.state.readFile(101, 'hadr/a', 'status.json') ?? '{}') as { seq: number }
  t.ok(seq >= 1)
})

t.test('a replica that does not lead asks GitLab nothing', async t => {
  const world = createReplicas()
  const first = world.start('a')
  await world.until('the first leads', () => roleOf(first) === 'leader', 5000)
  first.crash()
  const before = callsOf(world)
  world.start('a')
  await world.clock.advance(10_000)
  t.equal(callsOf(world), before)
})

t.test('a leader that crashes is followed within the lease time and a retry, and no tag moves', async t => {
  const { world, first, second } = await pair()
  const changes = world.gitlab.state.tagHistory.length
  first.crash()
  const ms = await world.until('the second leads', () => roleOf(second) === 'leader', 20_000)
  t.ok(ms > 10_000 && ms <= 17_500, `${ms} ms`)
  await world.until('it serves', () => stateOf(second) === 'ACTIVE', 15_000)
  await world.clock.advance(60_000)
  t.equal(world.gitlab.state.tagHistory.length, changes)
  t.same(world.holders(), ['a'])
})

t.test('a leader that stops says so, gives the lease up and never the tag; the other leads within 3 s', async t => {
  const { world, first, second } = await pair()
  const changes = world.gitlab.state.tagHistory.length
  const stopping = first.decider.stop()
  const ms = await world.until('the second leads', () => roleOf(second) === 'leader', 5000)
  await stopping
  t.ok(ms <= 3000, `${ms} ms`)
  t.equal(roleOf(first), 'standby')
  await world.clock.advance(30_000)
  t.equal(world.gitlab.state.tagHistory.length, changes)
  t.same(world.holders(), ['a'])
})

t.test('the farewell is published before the lease is given up', async t => {
  const { world, first } = await pair()
  const farewell = () => {
    const text = world.gitlab.state.readFile(101, 'hadr/a', 'status.json') ?? '{}'
    return JSON.parse(text) as { leaving?: boolean; pools: Record<string, { active: boolean }> }
  }
  const lease = () => world.servers['a']?.state.get('leases', 'ci', 'decider')
  const stopping = first.decider.stop()
  for (let step = 0; step < 1000 && farewell().leaving !== true; step++) await world.clock.advance(3)
  t.match(lease(), { spec: { holderIdentity: 'a-1' } })
  t.equal(farewell().pools['rnd']?.active, true, 'nothing is demoted')
  await world.until('the lease is free', () => !JSON.stringify(lease()).includes('a-1'), 3000)
  await world.clock.advance(1000)
  await stopping
})

t.test(
  'a leader that is cut off from its API server stops before another one begins, and comes back as a candidate',
  async t => {
    const { world, first, second } = await pair()
    first.cut(true)
    const lostMs = await world.until('it stops acting', () => roleOf(first) === 'standby', 12_000)
    t.equal(roleOf(second), 'standby')
    t.same(await metric(first, 'leader'), ['gitlab_runner_hadr_decider_leader 0'])
    t.same(await metric(first, 'holders{'), [], 'what it knew of its pools is gone')
    const wonMs = await world.until('the other begins', () => roleOf(second) === 'leader', 10_000)
    t.comment(`stopped after ${lostMs} ms, followed ${wonMs} ms later`)
    first.cut(false)
    second.crash()
    await world.until('it leads again', () => roleOf(first) === 'leader', 40_000)
    await world.until('it serves again', () => stateOf(first) === 'ACTIVE', 15_000)
    t.equal(world.longestGapMs(), 0)
  },
)

t.test('an API server that fails, restarts or refuses writes for some seconds ends no term', async t => {
  const { world, first, second } = await pair()
  const faults = world.servers['a']?.faults
  for (const fault of [{ kind: 'reset' as const }, { kind: 'status' as const, status: 409 }]) {
    const heal = faults?.add({ fault, resource: 'leases' })
    await world.clock.advance(6000)
    heal?.()
    await world.clock.advance(6000)
    t.equal(roleOf(first), 'leader')
    t.equal(roleOf(second), 'standby')
  }
})

t.test('two leaders of one cluster for ten minutes: nobody serves for no longer than a cycle', async t => {
  for (const seed of [1, 2, 3]) {
    const world = createReplicas({ seed })
    world.start('a', { lease: false })
    await world.clock.advance(3000 * seed)
    world.start('a', { lease: false })
    await world.clock.advance(30_000)
    const b = world.start('b')
    await world.until('b stands by', () => stateOf(b) === 'STANDBY', 60_000)
    for (const to of ['b', 'a', 'b', 'a', 'b']) {
      const until = new Date(world.clock.wallMs() + 3_600_000).toISOString()
      await world.wish({ rnd: { pin: { to, until, by: 'kim', why: 'test', force: true } } })
      await world.clock.advance(120_000)
    }
    t.ok(world.longestGapMs() <= 10_000, `seed ${seed}: ${world.longestGapMs()} ms`)
    t.ok(world.holders().length >= 1)
  }
})

t.test(
  'a leader that stops in the middle of a switch finishes the writes under way, starts none, and the next one goes on',
  async t => {
    const world = createReplicas({ runners: 40 })
    const a = world.start('a', { lease: false })
    await world.until('a serves', () => stateOf(a) === 'ACTIVE', 60_000)
    const slow = (base: HttpTransport): HttpTransport => {
      return async request => {
        if (request.method === 'PUT') await world.clock.sleep(2000)
        return base(request)
      }
    }
    const first = world.start('b', { wrap: slow })
    await world.until('the first leads', () => stateOf(first) === 'STANDBY', 60_000)
    const second = world.start('b')
    await world.clock.advance(20_000)
    a.crash()
    await world.until('the first four', () => world.holding('b') === 4, 200_000)
    await world.clock.advance(500)
    const stopping = first.decider.stop()
    const free = () => {
      const lease = world.servers['b']?.state.get('leases', 'ci', 'decider')
      return !JSON.stringify(lease).includes('"b-2"')
    }
    await world.until('the lease is free', free, 10_000)
    t.equal(world.holding('b'), 8, 'the next four, and no more')
    await world.clock.advance(1000)
    await stopping
    await world.until('all', () => world.holding('b') === 40, 30_000)
    t.equal(roleOf(second), 'leader')
    t.equal(world.longestGapMs(), 0)
  },
)
