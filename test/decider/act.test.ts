import t from 'tap'
import { type Scene, failing, losing, pause, scene } from './act-scene.ts'

t.test('tending', t => {
  t.test('publishes first when that is due, then adds and fences', async t => {
    const world = scene()
    world.says('a', { active: true, epoch: 3 })
    world.says('b')
    world.gitlab.add(20, 'runner-b', 'rnd-runner', 'linux')
    world.capacity.own = { known: true, available: 4, unknownPods: 0, total: 4, desired: null, servingIds: [10] }
    await world.cycle()
    t.strictSame(world.did, ['read', 'publish hadr/a 2', 'get 10', 'put 10 runner-a,linux,rnd-runner'])
    pause(world, 20)
    for (let cycles = 0; cycles < 9; cycles++) await world.cycle()
    t.strictSame(world.gitlab.tagsOf(20), ['runner-b', 'linux'], 'dead and fenced, its other tags kept')
  })

  t.test('writes no tag when the heartbeat took longer than 2 P', async t => {
    const world = scene()
    world.says('a', { active: true, epoch: 3 })
    world.gitlab.onCall = call => {
      if (call === 'publish') world.clock.nowMs += 20_001
    }
    const { deeds } = await world.cycle()
    t.match(deeds, [{ operation: 'publish' }, { operation: 'add', result: 'expired' }])
    t.notOk(world.holds(10))
  })

  t.test('goes on for as long as 2 P', async t => {
    const world = scene()
    world.says('a', { active: true, epoch: 3 })
    world.gitlab.onCall = call => {
      if (call === 'get') world.clock.nowMs += 19_999
    }
    const { deeds } = await world.cycle()
    t.match(deeds.at(-1), { operation: 'add', result: 'done' })
    t.equal((await world.cycle()).seen.outcomes.doubtMonotonicMs, undefined)
  })

  t.test('with a lost answer leaves no doubt: an own tag more harms nobody', async t => {
    const world = scene()
    world.says('a', { active: true, epoch: 3 })
    world.gitlab.fault = failing('put', 'unavailable', true)
    const { deeds } = await world.cycle()
    t.match(deeds.at(-1), { operation: 'add', result: 'ambiguous' })
    t.equal((await world.cycle()).seen.outcomes.doubtMonotonicMs, undefined)
  })

  t.test('a heartbeat that fails stops no repair', async t => {
    const world = scene()
    world.says('a', { active: true, epoch: 3 })
    world.gitlab.fault = failing('publish', 'forbidden')
    const { deeds } = await world.cycle()
    t.match(deeds, [
      { operation: 'publish', result: 'failed', why: /GitLab publish/ },
      { operation: 'add', result: 'done' },
    ])
  })
  t.end()
})

t.test('waking', t => {
  /** Cluster b serves and falls silent; cycles until a asks. */
  const silent = async (arrange: (world: Scene) => void) => {
    const world = scene()
    world.says('a')
    world.says('b', { active: true, epoch: 3 })
    world.gitlab.add(20, 'runner-b', 'rnd-runner')
    arrange(world)
    for (let cycles = 0; cycles < 12; cycles++) {
      const { plan } = await world.cycle()
      if (plan.probes.length > 0) return world
    }
    throw new Error('nobody was asked')
  }

  t.test('reads the contact time, then sends the locked flag as it was read and nothing else', async t => {
    const world = await silent(() => undefined)
    t.strictSame(
      world.did.filter(entry => !entry.startsWith('publish')),
      ['read', 'get 20', 'wake 20 true'],
    )
    t.strictSame(world.gitlab.tagsOf(20), ['runner-b', 'rnd-runner'])
    const { plan } = await world.cycle()
    t.match(plan.alerts, [{ kind: 'peer_decider_down', cluster: 'b' }])
  })

  t.test('is told, and not begun by a process that may no longer write', async t => {
    const asked = async (stops: boolean) => {
      const world = await silent(({ gitlab }) => (gitlab.fault = failing('wake', 'forbidden')))
      world.gitlab.fault = () => undefined
      let may = true
      world.gitlab.onCall = call => {
        if (call === 'get' && stops) may = false
      }
      const { deeds } = await world.cycle({ maySend: () => may, over: new AbortController().signal })
      return { did: world.did.filter(entry => !entry.startsWith('publish')), deed: deeds.at(-1) }
    }
    t.strictSame(await asked(false), {
      did: ['read', 'get 20', 'wake 20 true'],
      deed: { operation: 'wake', runnerId: 20, result: 'done' },
    })
    t.strictSame(await asked(true), {
      did: ['read', 'get 20'],
      deed: { operation: 'wake', runnerId: 20, result: 'expired' },
    })
  })

  t.test('whose answer was lost still counts as asked; one that was refused is tried again', async t => {
    const lost = await silent(world => (world.gitlab.fault = failing('wake', 'unavailable', true)))
    lost.gitlab.fault = () => undefined
    t.match((await lost.cycle()).plan.alerts, [{ kind: 'peer_decider_down' }])

    const refused = await silent(world => (world.gitlab.fault = failing('wake', 'forbidden')))
    refused.gitlab.fault = () => undefined
    const { plan } = await refused.cycle()
    t.match(plan.probes, [{ cluster: 'b', runnerIds: [20] }])
  })
  t.end()
})

t.test('a dry run decides and writes nothing', async t => {
  const world = scene({ dryRun: true })
  world.says('b')
  for (let cycles = 0; cycles < 5; cycles++) {
    const { plan } = await world.cycle()
    t.match(plan.step, { kind: 'promote' })
    t.strictSame(world.did, ['read'])
  }
})

t.test('while GitLab cannot be read a cycle makes one call', async t => {
  const world = await losing()
  world.gitlab.fault = failing('read', 'unavailable')
  for (let cycles = 0; cycles < 5; cycles++) {
    const { plan } = await world.cycle()
    t.equal(plan.state, 'HOLD')
    t.strictSame(world.did, ['read'])
  }
})

t.test('with the project’s token expired nothing moves, though the runners’ works', async t => {
  const world = scene({ ownProjectToken: true })
  world.gitlab.add(10, 'runner-a', 'rnd-runner')
  world.project.fault = () => ({ kind: 'unauthorized' })
  for (let cycles = 0; cycles < 20; cycles++) {
    const { plan } = await world.cycle()
    t.equal(plan.state, 'HOLD')
    t.strictSame(
      world.did.filter(entry => entry !== 'read'),
      [],
    )
  }
  t.ok(world.holds(10))
})
