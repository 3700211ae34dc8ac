import t from 'tap'
import { decide } from '../../decider/decide.ts'
import { remember } from '../../decider/memory.ts'
import type { Observation, Outcomes } from '../../decider/model.ts'
import { viewClusters } from '../../decider/views.ts'
import { World, poolOf, quiet } from './scenario.ts'

/** Rules at their very limits: one observation, changed by a hair, decided on with the same memory. */

const SECOND_MS = 1000
const DEAD_MS = 55 * SECOND_MS

/** The next cycle's observation, `seconds` after the last, and what is decided on it when `change` has been made. */
function nextCycle({ world, decider }: ReturnType<typeof quiet>, seconds = 10) {
  world.nowMs += seconds * SECOND_MS
  const seen = decider.observe()
  const decided = (change: Partial<Observation> = {}) => decide({ ...seen, ...change }, decider.memory, decider.config)
  const withOutcomes = (change: Partial<Outcomes>) => decided({ outcomes: { ...seen.outcomes, ...change } })
  return { seen, decided, withOutcomes }
}

t.test('fencing', t => {
  const dead = () => {
    const scene = quiet('a', 'a')
    scene.peer.tag()
    scene.peer.says({})
    scene.world.step(10)
    scene.peer.dies()
    scene.world.run(100)
    return scene
  }

  t.test('the seq that is read must have been published within T_dead', t => {
    const { seen, withOutcomes } = nextCycle(dead())
    for (const [agoMs, fences] of [
      [DEAD_MS, true],
      [DEAD_MS + 1, false],
    ] as const) {
      const { step } = withOutcomes({ ownSeqPublishedMonotonicMs: seen.monotonicMs - agoMs })
      t.equal(step.kind === 'tend', fences, `${agoMs} ms ago`)
    }
    t.end()
  })

  t.test('nobody fences who could not publish for longer than T_dead, whatever is read', t => {
    const { seen, withOutcomes } = nextCycle(dead())
    for (const [agoMs, fences] of [
      [DEAD_MS, true],
      [DEAD_MS + 1, false],
    ] as const) {
      const { step, alerts } = withOutcomes({ lastPublishMonotonicMs: seen.monotonicMs - agoMs })
      t.equal(step.kind === 'tend', fences, `${agoMs} ms ago`)
      const told = alerts.filter(({ kind }) => kind === 'cannot_publish')
      t.strictSame(told, fences ? [] : [{ kind: 'cannot_publish', forMs: agoMs }])
    }
    t.end()
  })

  t.test('of several that claim and live, only the highest fences', t => {
    for (const [epoch, fences] of [
      [2, true],
      [4, false],
    ] as const) {
      const scene = quiet('a', 'a', ['a', 'b', 'c'])
      scene.world.cluster('b').tag()
      scene.world.cluster('b').dies()
      scene.world.cluster('c').says({ active: true, epoch })
      const seconds = scene.world.secondsUntil(() => scene.decider.fences.includes(20), 300)
      t.equal(seconds !== undefined, fences, `epoch ${epoch}`)
    }
    t.end()
  })
  t.end()
})

t.test('only runners that carry the tag are removed from, when yielding and when cleaning up', t => {
  for (const holder of ['a', 'b']) {
    const scene = quiet('a', holder, ['a', 'b'], 2)
    scene.own.untag()
    scene.own.tag(11)
    scene.peer.tag()
    scene.peer.says({ active: true, epoch: 4 })
    scene.world.step(10)
    t.match(scene.decider.step, { kind: 'demote', removeIds: [11] }, holder)
  }
  t.end()
})

t.test('a gap of more than 2 P unsettles what was proven, while GitLab cannot be read, too', t => {
  for (const [gapMs, confirmed] of [
    [20_000, true],
    [20_001, false],
  ] as const) {
    for (const clock of ['monotonicMs', 'wallMs'] as const) {
      const { world, decider } = quiet('a', 'a')
      world.gitlabDown = true
      const seen = decider.observe()
      const later = remember(decider.memory, { ...seen, [clock]: seen[clock] + gapMs }, decider.config)
      t.equal(later.peers['b']?.confirmed, confirmed, `${clock} ${gapMs}`)
      t.strictSame(later.peers['b'], { ...decider.memory.peers['b'], confirmed }, 'the rest is kept')
    }
  }
  t.end()
})

t.test('a change seen after an outage of GitLab of more than 1.1 H + 3 P may be old, and proves nothing', t => {
  for (const [seconds, confirmed] of [
    [6.5, true],
    [6.501, false],
  ] as const) {
    const { world, decider, peer } = quiet('a', 'a')
    world.gitlabDown = true
    for (const gap of [20, 20]) world.step(gap)
    world.gitlabDown = false
    peer.says({})
    peer.speaks = false
    world.step(seconds)
    const { peers } = decider.plan.next
    t.equal(peers['b']?.confirmed, confirmed, `${40 + seconds} s since the last read`)
    t.strictSame(Object.keys(peers), ['b'], 'nobody is a peer of itself')
  }
  t.end()
})

t.test('a rollout of one’s own is published, and told as it was while nobody knows', t => {
  const { world, own } = quiet('a', 'a')
  t.notOk(Object.hasOwn(own.status ?? {}, 'updating'), 'nobody said anything')
  own.capacity = { known: true, available: 4, unknownPods: 0, total: 4, desired: 5, servingIds: [10], updating: true }
  world.step(10)
  t.match(own.status, { updating: true, desired: 5, total: 4 })
  own.capacity = { known: false, why: 'no answer' }
  world.step(10)
  t.match(own.status, { updating: true, desired: 5, total: 4, available: null })
  own.capacity = { known: true, available: 4, unknownPods: 0, total: 4, desired: 4, servingIds: [10], updating: false }
  world.step(10)
  t.equal(own.status?.updating, false)
  t.end()
})

t.test('a heartbeat goes out when H is over, or at once when peers would act on what changed', t => {
  const scene = quiet('a', 'a', ['a', 'b'], 2)
  scene.world.step(10)
  const { seen, decided, withOutcomes } = nextCycle(scene)
  const { own } = seen
  if (!own.known) throw new Error('it is known')
  const publishes = (agoMs: number) => withOutcomes({ lastPublishMonotonicMs: seen.monotonicMs - agoMs }).publish
  t.equal(publishes(14_999), undefined)
  t.not(publishes(15_000), undefined)
  const fresh = { outcomes: { ...seen.outcomes, lastPublishMonotonicMs: seen.monotonicMs } }
  t.equal(decided(fresh).publish, undefined)
  for (const change of [
    { available: 3 },
    { total: 5 },
    { desired: 5 },
    { updating: true },
    { servingIds: [10, 11, 12] },
    { servingIds: [10, 12] },
    { servingIds: [10] },
  ]) {
    t.match(decided({ ...fresh, own: { ...own, ...change } }).publish, change, JSON.stringify(change))
  }
  t.not(decided({ ...fresh, own: { known: false, why: 'no answer' } }).publish, undefined)
  const { gitlab } = seen
  const file = gitlab.readable ? gitlab.files['a'] : undefined
  if (!gitlab.readable || file?.kind !== 'read') throw new Error('it can be read')
  const other = { ...file, status: { ...file.status, digest: 'another' } }
  const { publish } = decided({ ...fresh, gitlab: { ...gitlab, files: { ...gitlab.files, a: other } } })
  t.equal(publish?.digest, decided(fresh).next.ownStatus?.digest, 'the configuration changed')
  t.not(decided({ outcomes: { wakes: {} } }).publish, undefined, 'never published')
  t.end()
})

t.test('a step that carries the status is not preceded by a heartbeat, however due', t => {
  const promotion = quiet('a', 'b')
  promotion.world.pin('a')
  const yielding = quiet('a', 'a')
  yielding.peer.tag()
  yielding.peer.says({ active: true, epoch: 4 })
  for (const scene of [promotion, yielding]) {
    const { seen, withOutcomes } = nextCycle(scene)
    const { step, publish } = withOutcomes({ lastPublishMonotonicMs: seen.monotonicMs - 20_000 })
    t.match(step, { status: { epoch: Number } })
    t.equal(publish, undefined, step.kind)
  }
  t.end()
})

t.test('what is published names the state as its reason', t => {
  for (const [holder, state] of [
    ['a', 'ACTIVE'],
    ['b', 'STANDBY'],
  ] as const) {
    const { decided } = nextCycle(quiet('a', holder))
    t.match(decided().publish, { reason: state })
  }
  t.end()
})

t.test('alerts name what they are about', t => {
  const scene = quiet('a', 'a', ['a', 'b', 'c', 'd'])
  const { world, decider } = scene
  world.cluster('b').says({ digest: 'another' })
  world.cluster('c').file = { kind: 'unreadable', why: 'schema 2' }
  world.cluster('c').speaks = false
  world.control = { kind: 'unreadable', why: 'not JSON' }
  world.strays.push({ id: 98, cluster: null, tagged: true, paused: false, online: true, contactedAtMs: null })
  world.strays.push({ id: 99, cluster: null, tagged: false, paused: false, online: true, contactedAtMs: null })
  world.step(10)
  t.strictSame(decider.plan.alerts, [
    { kind: 'config_mismatch', clusters: ['b'] },
    { kind: 'foreign_main_tag', runnerIds: [98] },
    { kind: 'unreadable_file', cluster: 'c', why: 'schema 2' },
    { kind: 'unreadable_control', why: 'not JSON' },
  ])
  world.gitlabDown = true
  world.step(10)
  t.strictSame(decider.plan.alerts, [])
  t.end()
})

t.test('a pool without the cluster of its decider is refused', t => {
  const { seen } = nextCycle(quiet('a', 'a'))
  const pool = { ...poolOf('a'), self: 'z' }
  t.throws(
    () => viewClusters(new World().decider('a').memory, seen, pool),
    /^cluster z is not one of the pool's clusters$/,
  )
  t.end()
})
