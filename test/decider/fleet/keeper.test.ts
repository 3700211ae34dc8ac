import t, { type Test } from 'tap'
import type { KeeperDeps } from '../../../decider/fleet/keeper.ts'
import type { FleetConfig } from '../../../decider/fleet/config.ts'
import { createRandom } from '../../support/random.ts'
import { DEPLOYMENT, FleetWorld, NAMESPACE } from './fleet-world.ts'

/** A keeper at work on a world of so many managers; `after` lets time pass with fresh samples. */
function begin(
  t: Test,
  replicas: number,
  { config, deps }: { config?: Partial<FleetConfig>; deps?: Partial<KeeperDeps> } = {},
) {
  const world = new FleetWorld(replicas, createRandom(1))
  const keeper = world.keeper(world.config(config), deps)
  const stopping = new AbortController()
  const running = keeper.run(stopping.signal)
  keeper.use(world.situation())
  t.teardown(async () => {
    stopping.abort(new Error('the test is over'))
    await world.clock.advance(1)
    await running
    world.core.close()
  })
  const after = async (seconds: number) => {
    for (let passed = 0; passed < seconds; passed += 5) {
      world.endJobs()
      world.scrape()
      await world.clock.advance(5000)
    }
  }
  return { world, keeper, after }
}

const waiting = (count: number, tags = ['rnd-runner']) =>
  Array.from({ length: count }, (_, index) => ({ id: index + 1, tags }))

t.test('the Deployment grows with the jobs that wait, by a step at most', async t => {
  const { world, keeper, after } = begin(t, 1)
  await after(30)
  world.pending = waiting(13)
  await after(20)
  t.equal(world.wanted, 4, 'one and a step of three')
  await after(60)
  t.equal(world.wanted, 7, 'thirteen jobs and a spare slot over two slots each')
  t.match(keeper.report(), { desired: 7, replicas: 7, pending: 13, slots: 2, problems: [], scale: 'patch' })
  t.match(world.events.join('\n'), /Normal FleetGrew Pool rnd: 1 to 4 managers/)
})

t.test('only jobs that these runners may take count', async t => {
  const { world, after } = begin(t, 1, { config: { tags: ['docker'] } })
  await after(30)
  world.pending = [...waiting(9, ['gpu']), ...waiting(9, ['rnd-runner', 'gpu']), ...waiting(9, [])]
  await after(60)
  t.equal(world.wanted, 1)
  world.pending = waiting(3, ['rnd-runner', 'docker'])
  await after(60)
  t.equal(world.wanted, 2)
})

t.test('it shrinks one at a time after the window, and says so', async t => {
  const { world, after } = begin(t, 4)
  await after(290)
  t.equal(world.wanted, 4, 'the window has not passed yet')
  await after(30)
  t.equal(world.wanted, 3)
  await after(40)
  t.equal(world.wanted, 3, 'a minute between two')
  await after(600)
  t.equal(world.wanted, 1)
  t.equal(world.events.filter(event => event.includes('FleetShrank')).length, 3)
})

t.test('what is not known changes nothing, and is told', async t => {
  const { world, keeper, after } = begin(t, 4)
  await after(60)
  world.gitlabDown = true
  world.prometheusDown = true
  await after(900)
  t.equal(world.wanted, 4)
  t.match(keeper.report().problems.join(' '), /GitLab is down.*|Prometheus: down.*/)
  t.equal(world.events.filter(event => event.includes('GitLab is down')).length, 1, 'told once')
  world.gitlabDown = false
  world.prometheusDown = false
  await after(200)
  t.equal(world.wanted, 4, 'what was unknown counts as needed for a whole window')
  await after(300)
  t.equal(world.wanted < 4, true)
})

t.test('without GitLab’s word on who is busy nothing is given up', async t => {
  const { world, keeper, after } = begin(t, 2, { config: { projects: [] } })
  await after(60)
  world.gitlabDown = true
  await after(600)
  t.equal(world.wanted, 2)
  t.match(keeper.report().problems, [/not known which managers have jobs: GitLab is down/])
})

t.test('a hint wakes it early, and many hints not more often', async t => {
  const { world, keeper, after } = begin(t, 1, { config: { everyMs: 600_000 } })
  await after(60)
  world.pending = waiting(3)
  const requests = () => world.core.state.requests.filter(({ resource }) => resource === 'deployments/scale').length
  const before = requests()
  for (let second = 0; second < 20; second++) {
    for (let time = 0; time < 50; time++) keeper.hint()
    world.scrape()
    await world.clock.advance(1000)
  }
  t.equal(world.wanted, 2)
  t.ok(requests() - before <= 6, `${requests() - before} requests in 20 s`)
})

t.test('somebody else who scales the Deployment stops it, until he is gone', async t => {
  const { world, keeper, after } = begin(t, 1)
  await after(30)
  world.core.state.put('horizontalPodAutoscalers', {
    metadata: { name: 'theirs', namespace: NAMESPACE },
    spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: DEPLOYMENT } },
  })
  world.pending = waiting(5)
  await after(120)
  t.equal(world.wanted, 1)
  t.match(keeper.report().problems, [/HorizontalPodAutoscaler theirs scales Deployment runners\/manager, too/])
  world.core.state.remove('horizontalPodAutoscalers', NAMESPACE, 'theirs')
  world.core.state.put('scaledObjects', {
    metadata: { name: 'other', namespace: NAMESPACE },
    spec: { scaleTargetRef: { name: 'another-deployment' } },
  })
  await after(180)
  t.equal(world.wanted, 3, 'an autoscaler of another Deployment does not matter')
  t.same(keeper.report().problems, [])
})

t.test('a failing API server is told and tried again, more seldom', async t => {
  const { world, keeper, after } = begin(t, 1)
  await after(30)
  world.pending = waiting(3)
  world.core.faults.add({ fault: { kind: 'status', status: 503 }, resource: 'deployments/scale' })
  const asked = () => world.core.state.requests.filter(({ resource }) => resource === 'deployments/scale').length
  const before = asked()
  await after(1200)
  t.ok(asked() - before < 25, `${asked() - before} requests in 20 minutes`)
  t.match(keeper.report().problems.join(' '), /cannot scale: .*503/)
})

t.test('a number that somebody else changes meanwhile is not overwritten', async t => {
  const { world, keeper, after } = begin(t, 1)
  await after(30)
  world.pending = waiting(3)
  world.core.faults.add({
    fault: { kind: 'status', status: 409, body: '{"reason":"Conflict"}' },
    verb: 'patch',
    count: 1,
  })
  await after(15)
  t.equal(world.wanted, 1)
  t.match(keeper.report().problems, [/somebody else changed the number/])
  await after(40)
  t.equal(world.wanted, 2)
})

t.test('a Deployment that somebody scaled to zero is left alone', async t => {
  const { world, keeper, after } = begin(t, 2)
  await after(30)
  world.core.state.change('deployments', NAMESPACE, DEPLOYMENT, object => {
    Object.assign(object['spec'] as object, { replicas: 0 })
  })
  world.pending = waiting(9)
  await after(120)
  t.equal(world.wanted, 0)
  t.match(keeper.report().explain, /scaled it to zero/)
})

t.test('a dry run changes nothing and exports nothing', async t => {
  const { world, keeper, after } = begin(t, 1, { deps: { dryRun: true } })
  world.pending = waiting(9)
  await after(120)
  t.equal(world.wanted, 1)
  t.equal(keeper.report().desired, 4)
  const { values } = (await world.registry.getSingleMetric('gitlab_runner_hadr_decider_desired_replicas')?.get()) ?? {
    values: [],
  }
  t.same(values, [])
})

t.test('without a right to write nothing is sent', async t => {
  const { world, after } = begin(t, 1, { deps: { maySend: () => false } })
  world.pending = waiting(9)
  await after(120)
  t.equal(world.wanted, 1)
})

t.test('an exporting fleet tells the number, from what is there', async t => {
  const { world, keeper, after } = begin(t, 3, { config: { target: undefined } })
  const exported = async () => {
    const metric = world.registry.getSingleMetric('gitlab_runner_hadr_decider_desired_replicas')
    return (await metric?.get())?.values.map(({ value }) => value)
  }
  await after(30)
  t.same(await exported(), [], 'nobody knows how many there are')
  keeper.use(world.situation({ wanted: 3 }))
  await after(30)
  t.same(await exported(), [3])
  world.pending = waiting(8)
  await after(60)
  t.same(await exported(), [5])
  world.pending = []
  await after(700)
  t.same(await exported(), [1])
  t.equal(world.wanted, 3, 'the Deployment is not its own')
})

t.test('a promotion is acted on at once, with the number of the cluster before', async t => {
  const { world, keeper, after } = begin(t, 1, { config: { everyMs: 120_000 } })
  keeper.use(world.situation({ role: 'standby', inherited: 6 }))
  await after(150)
  t.equal(world.wanted, 1)
  keeper.use(world.situation({ role: 'active', inherited: 6 }))
  await after(10)
  t.equal(world.wanted, 6)
})
