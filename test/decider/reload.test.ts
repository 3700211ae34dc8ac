import t from 'tap'
import { watchConfig } from '../../decider/reload.ts'
import { silentLog } from '../../lib/service/log.ts'
import { createReplicas, stateOf } from './replicas.ts'

const text = (config: object) => JSON.stringify(config)

async function scene(pools = ['rnd']) {
  const world = createReplicas({ pools: ['rnd', 'qa'] })
  const config = world.configOf('b', {}, pools)
  const a = world.start('a', { lease: false })
  await world.until('a serves', () => stateOf(a) === 'ACTIVE', 60_000)
  const b = world.start('b', { lease: false, config })
  let file = text(config)
  const ending = new AbortController()
  const read = () => Promise.resolve(file)
  const deps = { read, text: file, name: 'decider.yaml', decider: b.decider, clock: world.clock, log: silentLog }
  t.teardown(() => ending.abort())
  void watchConfig(deps, ending.signal)
  await world.until('both run', () => stateOf(a) === 'ACTIVE' && stateOf(b) === 'STANDBY', 60_000)
  const reloaded = async () =>
    (await b.registry.getSingleMetric('gitlab_runner_hadr_decider_config_reload_success')?.get())?.values[0]?.value
  return {
    world,
    a,
    b,
    reloaded,
    write: async (next: string) => {
      file = next
      await world.clock.advance(6000)
    },
  }
}

t.test('a changed pool keeps what was learned: a dead cluster is no less dead', async t => {
  const { world, a, b, write, reloaded } = await scene()
  a.crash()
  await world.clock.advance(40_000)
  const silent = () => b.decider.status().pools[0]?.clusters[0]?.heartbeatAgeSeconds ?? 0
  const before = silent()
  t.ok(before >= 20)
  const changed = world.configOf('b', { profile: 'fast' }, ['rnd'])
  await write(text(changed))
  t.equal(await reloaded(), 1)
  await world.clock.advance(12_000)
  t.ok(silent() > before, 'the silence goes on counting')
  await world.until('the shorter time holds', () => world.holders().includes('b'), 75_000)
})

t.test('a new pool starts, one that is gone ends and leaves the status file', async t => {
  const { world, b, write } = await scene()
  const spoken = () =>
    Object.keys(
      (JSON.parse(world.gitlab.state.readFile(101, 'hadr/b', 'status.json') ?? '{}') as { pools: object }).pools,
    ).sort()
  await write(text(world.configOf('b', {}, ['rnd', 'qa'])))
  await world.until('qa runs', () => b.decider.status().pools.length === 2, 20_000)
  await world.until('qa is published', () => spoken().join() === 'qa,rnd', 20_000)
  await write(text(world.configOf('b', {}, ['qa'])))
  await world.clock.advance(30_000)
  t.same(
    b.decider.status().pools.map(({ pool }) => pool),
    ['qa'],
  )
  t.same(spoken(), ['qa'])
  t.notMatch(await b.registry.metrics(), /decider_holders\{pool="rnd"\}/)
})

t.test('a file with mistakes, or with what only a restart can change, changes nothing and says so', async t => {
  const { world, b, write, reloaded } = await scene()
  const status = () => b.decider.status().pools.map(({ pool }) => pool)
  await write('cluster: b\npools: []\n')
  t.equal(await reloaded(), 0)
  t.same(status(), ['rnd'])
  await write(text(world.configOf('b', { prometheus: { url: 'http://other.test' } }, ['rnd', 'qa'])))
  t.equal(await reloaded(), 0)
  t.same(status(), ['rnd'], 'not even the pools, which could')
  t.same(b.decider.reconfigure(world.configOf('b', { listen: ':9999' }, ['rnd'])), ['listen'])
  await write(text(world.configOf('b', {}, ['rnd', 'qa'])))
  t.equal(await reloaded(), 1)
})
