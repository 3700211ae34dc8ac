import t from 'tap'
import { decide } from '../../decider/decide.ts'
import { World, quiet } from './scenario.ts'

t.test('fencing', t => {
  /** Cluster a is active and serves; b, tagged as well, dies. */
  const survivor = (runners = 1) => {
    const scene = quiet('a', 'a', ['a', 'b'], runners)
    scene.peer.tag()
    scene.peer.says({})
    scene.world.step(10)
    scene.peer.dies()
    return scene
  }

  t.test('the runners of a cluster dead for T_dead + 2 P lose the tag, no earlier', t => {
    const { world, decider, peer } = survivor()
    peer.runners.forEach(runner => (runner.paused = true))
    for (const gap of [20, 20, 15, 20]) world.step(gap)
    t.strictSame(decider.steps(), [], 'silent for exactly 75 s, nobody to ask: paused')
    world.step(0.001)
    t.strictSame(decider.fences, [20], 'paused runners, too')
    t.strictSame(peer.taggedIds, [])
    t.end()
  })

  t.test('an open question delays it', t => {
    const { world, decider } = survivor()
    world.run(100)
    t.strictSame(decider.steps(), [])
    world.run(10)
    t.strictSame(decider.fences, [20])
    t.end()
  })

  t.test('own capacity must be known now and at least 1', t => {
    for (const pods of [null, 0]) {
      const { world, decider, own } = survivor()
      own.pods = pods
      world.run(300)
      t.strictSame(decider.steps(), [], String(pods))
      own.pods = 1
      world.step(10)
      t.strictSame(decider.fences, [20])
    }
    t.end()
  })

  t.test('an own runner must hold, unpaused', t => {
    const { world, decider, own } = survivor()
    for (const runner of own.runners) runner.paused = true
    world.run(300)
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('the own file must show a seq that this process published within T_dead', t => {
    const { world, decider, own } = survivor()
    world.run(50)
    decider.publishing = 'fails'
    world.run(600)
    t.strictSame(decider.steps(), [], 'muted')
    decider.publishing = 'works'
    world.step(10)
    t.strictSame(decider.steps(), [], 'published, but not yet read back')
    own.says({})
    world.step(10)
    t.strictSame(decider.steps(), [], 'the file shows another seq: somebody else writes it')
    world.run(20)
    t.strictSame(decider.steps(), ['tend'])
    t.end()
  })

  t.test('the own file must show the claim in this very read', t => {
    for (const hidden of [{ kind: 'absent' }, { kind: 'unreadable', why: 'no part for this pool' }] as const) {
      const { world, decider } = survivor()
      world.run(100)
      world.nowMs += 10_000
      const seen = decider.observe()
      if (!seen.gitlab.readable) throw new Error('GitLab is up')
      t.not(seen.outcomes.ownSeqPublishedMonotonicMs, undefined)
      const blind = { ...seen, gitlab: { ...seen.gitlab, files: { ...seen.gitlab.files, a: hidden } } }
      t.match(decide(seen, decider.memory, decider.config).step, { fence: [{ runnerIds: [20] }] })
      t.strictSame(decide(blind, decider.memory, decider.config).step, { kind: 'none' }, hidden.kind)
    }
    t.end()
  })

  t.test('a cluster without a file, or with one that cannot be understood, is never fenced', t => {
    for (const file of [{ kind: 'absent' } as const, { kind: 'unreadable', why: 'schema 2' } as const]) {
      const world = new World()
      const [own, peer] = [world.cluster('a'), world.cluster('b')]
      own.says({ active: true, epoch: 1 })
      own.tag()
      peer.tag()
      peer.file = file
      peer.dies()
      const decider = world.decider('a')
      world.run(7200)
      t.strictSame(decider.steps(), [])
    }
    t.end()
  })

  t.test('nobody is fenced while a file cannot be understood: it may hold a higher claim', t => {
    const { world, decider, peer } = quiet('a', 'a', ['a', 'b', 'c'])
    const third = world.cluster('c')
    const understood = third.file
    peer.tag()
    peer.says({})
    world.step(10)
    peer.dies()
    third.file = { kind: 'unreadable', why: 'schema 2' }
    world.run(600)
    t.strictSame(decider.steps(), [])
    third.file = understood
    third.says({})
    world.step(10)
    t.strictSame(
      decider.fences,
      peer.runners.map(({ id }) => id),
    )
    t.end()
  })

  t.test('a standby fences nobody', t => {
    const { world, decider } = quiet('a', 'c', ['a', 'b', 'c'])
    world.cluster('b').tag()
    world.cluster('b').dies()
    world.run(600)
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('all runners of the dead are fenced, and a failed one again with the next cycle', t => {
    const { world, decider, peer } = survivor(3)
    world.run(110)
    t.strictSame(decider.fences, [20, 21, 22])
    peer.tag(21)
    world.step(10)
    t.strictSame(decider.fences, [21])
    t.end()
  })

  t.test('a fenced cluster that comes back does not take the tag, and clears its claim', t => {
    const { world, decider, peer } = survivor()
    peer.says({ active: true, epoch: 1 })
    world.run(200)
    t.strictSame(peer.taggedIds, [])
    peer.answers = true
    const back = world.decider('b')
    world.run(1800)
    t.strictSame(back.steps().slice(0, 1), ['demote'])
    t.equal(peer.status?.active, false)
    t.strictSame(world.holders, ['a'])
    t.strictSame(decider.steps(), ['tend'])
    t.end()
  })
  t.end()
})
