import t, { type Test } from 'tap'
import { outranks } from '../../decider/views.ts'
import { World, quiet } from './scenario.ts'

/** Cluster a holds; b has just claimed with a higher claim, serves nothing yet and speaks no more. */
function claimed(t: Test) {
  const scene = quiet('a', 'a')
  scene.peer.says({ active: true, epoch: 4 })
  scene.peer.speaks = false
  scene.world.step(10)
  t.equal(scene.decider.plan.state, 'ACTIVE')
  return scene
}

t.test('silence', t => {
  t.test('silence of exactly T_dead is life, more raises suspicion', t => {
    const { world, decider, peer } = quiet('a', 'b')
    peer.says({})
    world.step(10)
    peer.speaks = false
    for (const seconds of [20, 20, 15]) world.step(seconds)
    t.strictSame(decider.probes, [], 'at 55 s')
    world.step(0.001)
    t.strictSame(decider.probes, [20], 'at 55.001 s')
    t.end()
  })

  t.test('one read counts for at most two periods, however long ago the last one was', t => {
    const { world, decider, peer } = quiet('a', 'b')
    peer.says({})
    world.step(10)
    peer.speaks = false
    world.step(3600)
    world.step(3600)
    t.strictSame(decider.probes, [], '40 s counted')
    world.step(3600)
    t.strictSame(decider.probes, [20], '60 s counted')
    t.end()
  })

  t.test('an outage of GitLab ages nobody, whatever its length', t => {
    for (const hours of [0.01, 1, 6]) {
      const { world, decider, peer } = quiet('a', 'b')
      peer.says({})
      world.step(10)
      peer.speaks = false
      world.gitlabDown = true
      world.run(hours * 3600)
      world.gitlabDown = false
      for (const seconds of [10, 20, 15]) world.step(seconds)
      t.strictSame(decider.probes, [], `${hours} h: 20 s for the first read after it, then the rest of T_dead`)
      t.strictSame(decider.steps(), [])
      world.step(0.001)
      t.strictSame(decider.probes, [20])
    }
    t.end()
  })

  t.test('a file that was read once and is gone counts as silence', t => {
    const { world, decider, peer } = quiet('a', 'b')
    peer.file = { kind: 'absent' }
    peer.dies()
    t.equal(
      world.secondsUntil(() => decider.promotes === 'emergency', 300),
      100,
    )
    t.end()
  })

  t.test('a cluster without a file never ages: it is neither asked nor fenced nor taken for dead', t => {
    const world = new World()
    world.cluster('a').says({ active: true, epoch: 1 })
    world.cluster('b').tag()
    const a = world.decider('a')
    world.run(7200)
    t.strictSame(a.steps(), ['tend'], 'the own tag is put back, nothing else ever happens')
    t.ok(a.plans.every(({ plan }) => plan.probes.length === 0 && plan.state === 'ACTIVE'))
    t.end()
  })
  t.end()
})

t.test('proof of life', t => {
  t.test('it is as old as 1.1 H + 3 P at most', t => {
    for (const [seconds, demotes] of [
      [6.5, true],
      [6.501, false],
    ] as const) {
      const { world, decider, peer } = claimed(t)
      for (const gap of [20, 20]) world.step(gap)
      peer.tag()
      world.step(seconds)
      t.equal(decider.demotes, demotes, `${40 + seconds} s`)
    }
    t.end()
  })

  t.test('first sight proves nothing, the next change does', t => {
    const world = new World()
    const [own, peer] = [world.cluster('a'), world.cluster('b')]
    own.says({ active: true, epoch: 1 })
    own.tag()
    peer.says({ active: true, epoch: 2 })
    peer.tag()
    peer.speaks = false
    const a = world.decider('a')
    world.run(60)
    t.strictSame(a.steps(), [])
    peer.says({})
    world.step(10)
    t.ok(a.demotes)
    t.end()
  })

  t.test('a cycle gap of more than two periods voids it until the next change', t => {
    const { world, decider, peer } = claimed(t)
    peer.tag()
    world.step(20.001)
    t.notOk(decider.demotes)
    world.step(10)
    t.notOk(decider.demotes, 'seeing the same again proves nothing')
    peer.says({})
    world.step(10)
    t.ok(decider.demotes)
    t.end()
  })

  t.test('a gap of exactly two periods voids nothing', t => {
    const { world, decider, peer } = claimed(t)
    peer.tag()
    world.step(20)
    t.ok(decider.demotes)
    t.end()
  })

  t.test('a change that is first seen after a gap may be old and proves nothing', t => {
    const { world, decider, peer } = claimed(t)
    peer.tag()
    peer.says({})
    world.step(30)
    t.notOk(decider.demotes)
    t.end()
  })

  t.test('a suspended process notices by the wall clock what its monotonic clock did not count', t => {
    const { world, decider, peer } = claimed(t)
    peer.tag()
    decider.monotonicSkewMs -= 3600_000
    world.step(3601)
    t.notOk(decider.demotes)
    t.equal(decider.plan.state, 'ACTIVE')
    t.end()
  })

  t.test('a process whose monotonic clock ran on while the wall clock was set back notices as well', t => {
    const { world, decider, peer } = claimed(t)
    peer.tag()
    decider.wallSkewMs -= 3600_000
    world.step(3600)
    t.notOk(decider.demotes)
    t.end()
  })

  t.test('a change seen during an outage that hid it for longer than a proof lasts proves nothing', t => {
    const { world, decider, peer } = claimed(t)
    world.gitlabDown = true
    world.run(50)
    world.gitlabDown = false
    peer.tag()
    peer.says({})
    world.step(10)
    t.notOk(decider.demotes)
    peer.says({})
    world.step(10)
    t.ok(decider.demotes)
    t.end()
  })

  t.test('a file that is gone, or that cannot be understood, proves nothing', t => {
    for (const file of [{ kind: 'absent' }, { kind: 'unreadable', why: 'schema 2' }] as const) {
      const { world, decider, peer } = claimed(t)
      peer.tag()
      peer.file = file
      world.step(10)
      t.notOk(decider.demotes, file.kind)
      t.strictSame(decider.alerts, file.kind === 'unreadable' ? ['unreadable_file'] : [])
    }
    t.end()
  })
  t.end()
})

t.test('the evidence on which the own tag may go', t => {
  /** Cluster a holds with claim (3, a); b says `change` and its runners `taggedIds` carry the tag. */
  const demotes = (change: object, taggedIds: number[], paused: number[] = []) => {
    const { world, decider, peer } = quiet('a', 'a', ['a', 'b'], 6)
    peer.says({ active: true, epoch: 4, available: 4, ...change })
    if (taggedIds.length > 0) peer.tag(...taggedIds)
    for (const runner of peer.runners) runner.paused = paused.includes(runner.id)
    world.step(10)
    return decider.demotes
  }
  const cases: [name: string, demotes: boolean, change: object, taggedIds: number[], paused?: number[]][] = [
    ['a higher claim, half of the serving runners tagged', true, { servingIds: [20, 21, 22, 23] }, [20, 21]],
    ['less than half of them', false, { servingIds: [20, 21, 22, 23] }, [20]],
    ['half of an odd number is rounded up: one of three', false, { servingIds: [20, 21, 22] }, [20]],
    ['two of three', true, { servingIds: [20, 21, 22] }, [20, 22]],
    ['many pods behind one runner entity', true, { available: 90, servingIds: [20] }, [20]],
    ['many runner entities, few pods', true, { available: 2, servingIds: [20, 21, 22, 23, 24, 25] }, [25]],
    ['nothing tagged', false, { servingIds: [20] }, []],
    ['only a runner entity tagged behind which nothing runs', false, { servingIds: [20] }, [21, 22, 23, 24, 25]],
    ['no runner entity said to serve', false, { servingIds: [] }, [20, 21, 22, 23, 24, 25]],
    ['the tagged ones paused', false, { servingIds: [20, 21] }, [20, 21], [20, 21]],
    ['one of two paused', true, { servingIds: [20, 21] }, [20, 21], [20]],
    ['its number unknown now, though known before', false, { available: null, lastKnown: 9 }, [20, 21, 22]],
    ['nothing available', false, { available: 0 }, [20, 21, 22, 23, 24, 25]],
    ['not active', false, { active: false }, [20, 21, 22, 23, 24, 25]],
    ['the same epoch, a higher name', true, { epoch: 3 }, [20, 21, 22]],
    ['a lower epoch', false, { epoch: 2 }, [20, 21, 22, 23, 24, 25]],
  ]
  for (const [name, expected, change, taggedIds, paused] of cases) {
    t.equal(demotes(change, taggedIds, paused), expected, name)
  }
  t.end()
})

t.test('claims', t => {
  t.test('they are compared by epoch, then by name, and any claim outranks none', t => {
    const claim = (epoch: number, cluster: string) => ({ epoch, cluster })
    t.ok(outranks(claim(2, 'a'), claim(1, 'b')))
    t.ok(outranks(claim(1, 'b'), claim(1, 'a')))
    t.ok(outranks(claim(1, 'a'), claim(1, 'B')), 'bytewise: capitals come first')
    t.ok(outranks(claim(1, 'a-1'), claim(1, 'a')))
    t.notOk(outranks(claim(1, 'a'), claim(1, 'a')), 'no claim outranks itself')
    t.ok(outranks(claim(0, 'a'), null))
    t.end()
  })

  t.test('priorities have no say in them', t => {
    const { world, decider, peer } = quiet('b', 'b')
    peer.says({ active: true, epoch: 3 })
    peer.tag()
    world.step(10)
    t.ok(decider.config.clusters.every(({ name, priority }) => (name === 'a') === (priority === 0)))
    t.strictSame(decider.steps(), [], 'a has the higher priority, b the higher claim')
    t.end()
  })
  t.end()
})
