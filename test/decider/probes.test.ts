import t from 'tap'
import { quiet } from './scenario.ts'

/** Cluster b holds; its decider speaks no more. Cycles until a asks b's runners for the first time. */
function silenced({ runners = 1, answers = true } = {}) {
  const scene = quiet('a', 'b', ['a', 'b'], runners)
  scene.peer.speaks = false
  scene.peer.answers = answers
  const asked = scene.world.secondsUntil(() => scene.decider.probes.length > 0, 100)
  if (asked === undefined) throw new Error('nobody was asked')
  return scene
}

t.test('a silent holder whose runners do not answer is dead within the minute that a probe may last', t => {
  const { world, decider } = silenced({ answers: false })
  t.equal(decider.plan.state, 'PEER_DECIDER_DOWN', 'the question alone keeps it alive')
  const seconds = world.secondsUntil(() => decider.promotes !== undefined, 300)
  t.ok(seconds !== undefined && seconds >= 40 && seconds <= 60, `${seconds} s`)
  t.equal(decider.promotes, 'emergency')
  t.end()
})

t.test('an answer on the last look is an answer', t => {
  const { world, decider, peer } = silenced({ answers: false })
  world.run(40)
  for (const runner of peer.runners) runner.contactedAtMs = world.serverMs
  world.run(100)
  t.strictSame(decider.steps(), [])
  t.equal(decider.plan.state, 'PEER_DECIDER_DOWN')
  t.end()
})

t.test('only a newer contact is an answer', t => {
  const { world, decider, peer } = silenced({ answers: false })
  for (const runner of peer.runners) runner.contactedAtMs = (runner.contactedAtMs ?? 0) - 1
  t.equal(
    world.secondsUntil(() => decider.promotes !== undefined, 100),
    50,
  )
  t.end()
})

t.test('a runner that GitLab had never heard of answers by its first contact', t => {
  const { decider, world, peer } = quiet('a', 'b')
  for (const runner of peer.runners) runner.contactedAtMs = null
  peer.speaks = false
  world.run(300)
  t.strictSame(decider.steps(), [])
  t.equal(decider.plan.state, 'PEER_DECIDER_DOWN')
  t.strictSame(decider.alerts, ['peer_decider_down'])
  t.end()
})

t.test('a read that does not tell contact times is no answer and no death', t => {
  const { world, decider, peer } = silenced({ answers: false })
  for (const runner of peer.runners) runner.contactedAtMs = undefined
  world.run(40)
  t.equal(decider.plan.state, 'PEER_DECIDER_DOWN')
  for (const runner of peer.runners) runner.contactedAtMs = world.serverMs
  world.run(60)
  t.strictSame(decider.steps(), [])
  t.end()
})

t.test('a cluster that does not hold is not asked: silence alone is its death', t => {
  const { world, decider, peer } = quiet('a', 'a')
  peer.dies()
  world.run(60)
  t.ok(decider.plans.every(({ plan }) => plan.probes.length === 0))
  t.equal(decider.plan.next.scores['b'], 0)
  t.end()
})

t.test('three runners at most are asked, and they are asked once', t => {
  const { world, decider } = silenced({ runners: 5, answers: false })
  t.equal(decider.probes.length, 3)
  world.run(40)
  t.equal(decider.plans.filter(({ plan }) => plan.probes.length > 0).length, 1)
  t.end()
})

t.test('among stale runner entities those are asked behind which pods served', t => {
  const { world, decider, peer } = quiet('a', 'b', ['a', 'b'], 9)
  peer.says({ servingIds: [27, 28] })
  peer.speaks = false
  world.secondsUntil(() => decider.probes.length > 0, 100)
  t.ok(decider.probes.includes(27) && decider.probes.includes(28), String(decider.probes))
  t.end()
})

t.test('a paused runner is not asked', t => {
  const { world, decider, peer } = quiet('a', 'b', ['a', 'b'], 2)
  for (const runner of peer.runners) runner.paused = runner.id === 20
  peer.speaks = false
  world.secondsUntil(() => decider.probes.length > 0, 100)
  t.strictSame(decider.probes, [21])
  t.end()
})

t.test('one answer of several is enough', t => {
  const { world, decider, peer } = silenced({ runners: 3, answers: false })
  world.step(10)
  for (const runner of peer.runners) if (runner.id === 22) runner.contactedAtMs = world.serverMs
  world.run(120)
  t.strictSame(decider.steps(), [])
  t.end()
})

t.test('answering runners are asked again every 60 s and keep a silent cluster alive for one hour', t => {
  const { world, decider } = silenced()
  const first = decider.plans.length
  world.run(3600)
  t.strictSame(decider.steps(), [])
  const wakes = decider.plans.slice(first).filter(({ plan }) => plan.probes.length > 0)
  const gaps = wakes.slice(1).map(({ atMs }, index) => (atMs - (wakes[index]?.atMs ?? 0)) / 1000)
  t.ok(
    gaps.every(gap => gap >= 60 && gap <= 80),
    `renewed after ${[...new Set(gaps)].join(', ')} s`,
  )
  const seconds = world.secondsUntil(() => decider.promotes === 'emergency', 120)
  t.ok(seconds !== undefined, 'an hour is the end of it')
  t.end()
})

t.test('an answer is valid for 180 s', t => {
  const { world, decider, peer } = silenced()
  world.step(10)
  t.strictSame(decider.alerts, ['peer_decider_down'], 'answered')
  peer.answers = false
  t.equal(
    world.secondsUntil(() => decider.promotes !== undefined, 300),
    190,
  )
  t.end()
})

t.test('a renewal that is not answered is asked again after 60 s', t => {
  const { world, decider, peer } = silenced()
  world.step(10)
  peer.answers = false
  world.secondsUntil(() => decider.probes.length > 0, 100)
  peer.answers = true
  world.run(600)
  t.strictSame(decider.steps(), [], 'one wake-up that went astray must not cost a live cluster its tag')
  t.end()
})

t.test('an answer between two questions is not lost', t => {
  const { world, decider, peer } = silenced()
  world.step(10)
  peer.answers = false
  world.secondsUntil(() => decider.probes.length > 0, 100)
  peer.answers = 'early'
  world.run(100)
  peer.answers = false
  world.run(100)
  t.strictSame(decider.steps(), [])
  t.equal(decider.plan.state, 'PEER_DECIDER_DOWN')
  t.end()
})

t.test('a wake-up that did not go through is tried again while the question is open', t => {
  const { world, decider, peer } = quiet('a', 'b')
  peer.speaks = false
  decider.waking = 'fails'
  world.secondsUntil(() => decider.probes.length > 0, 100)
  decider.waking = 'works'
  world.run(300)
  t.strictSame(decider.steps(), [])
  t.end()
})

t.test('inconclusive is not alive: runners that cannot be asked do not keep a cluster', t => {
  const { world, decider, peer } = quiet('a', 'b')
  peer.speaks = false
  decider.waking = 'fails'
  t.ok(world.secondsUntil(() => decider.promotes === 'emergency', 160))
  t.end()
})

t.test('a dead cluster that speaks again is alive at once', t => {
  const { world, decider, peer } = silenced({ answers: false })
  world.run(40)
  peer.speaks = true
  world.run(300)
  t.strictSame(decider.steps(), [])
  t.equal(decider.plan.state, 'STANDBY')
  t.end()
})

t.test('a silent holder whose decider restarts within the hour is served by it again, and the hour starts anew', t => {
  const { world, decider, peer } = silenced()
  world.run(3000)
  peer.speaks = true
  world.run(60)
  peer.speaks = false
  world.run(3000)
  t.strictSame(decider.steps(), [])
  t.end()
})

t.test('the active cluster asks, too, before it fences a holder', t => {
  const { world, decider, peer } = quiet('a', 'a')
  peer.tag()
  peer.speaks = false
  world.run(3000)
  t.strictSame(decider.steps(), [], 'its runners answer')
  t.end()
})

t.test('nobody is asked during a pause, and nobody is judged without having been asked', t => {
  for (const [name, holder] of [
    ['as a standby', 'b'],
    ['as the active one', 'a'],
  ] as const) {
    const { world, decider, peer } = quiet('a', holder)
    peer.tag()
    world.pause()
    peer.speaks = false
    world.run(1800)
    t.ok(
      decider.plans.every(({ plan }) => plan.probes.length === 0),
      name,
    )
    world.wish({})
    world.run(600)
    t.strictSame(decider.steps(), [], 'its runners answer when they are asked')
    t.equal(decider.plan.state, 'PEER_DECIDER_DOWN')
  }
  t.end()
})

t.test('a cluster that was known to answer before a pause is asked again after it', t => {
  const { world, decider } = silenced()
  world.step(10)
  world.pause(1200)
  world.run(1300)
  t.strictSame(decider.steps(), [])
  t.end()
})
