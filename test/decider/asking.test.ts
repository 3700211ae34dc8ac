import t from 'tap'
import { quiet } from './scenario.ts'

type Scene = ReturnType<typeof quiet>

/** Cluster b holds and its decider falls silent; a watches and cannot serve itself. */
function silent(runners = 1): Scene {
  const scene = quiet('a', 'b', ['a', 'b', 'c'], runners)
  scene.own.pods = 0
  scene.peer.speaks = false
  return scene
}

/** When, in seconds, and who was asked while `seconds` pass. */
function asked({ world, decider }: Scene, seconds: number): [second: number, ids: number[]][] {
  decider.plans = []
  const fromMs = world.nowMs
  world.run(seconds)
  return decider.plans.flatMap(({ atMs, plan }) =>
    plan.probes.map(({ runnerIds }): [number, number[]] => [(atMs - fromMs) / 1000, [...runnerIds]]),
  )
}

t.test('who answers is asked again a minute after the answer could be seen', t => {
  const times = asked(silent(), 300)
  t.strictSame(times, [
    [50, [20]],
    [120, [20]],
    [190, [20]],
    [260, [20]],
  ])
  t.end()
})

t.test('who does not answer is asked once, and once the cluster is dead no more', t => {
  const scene = silent()
  scene.peer.answers = false
  t.strictSame(asked(scene, 900), [[50, [20]]])
  t.end()
})

t.test('three are asked: those with a pod behind them, then those online, then by number', t => {
  const scene = silent(5)
  for (const runner of scene.peer.runners) runner.online = runner.id === 22 || runner.id === 23
  scene.peer.tag()
  scene.peer.says({ servingIds: [24] })
  scene.peer.runners.reverse()
  t.strictSame(asked(scene, 100)[0]?.[1], [24, 22, 23])
  const offline = silent(4)
  for (const runner of offline.peer.runners) runner.online = null
  offline.peer.says({ servingIds: [] })
  offline.peer.runners.reverse()
  t.strictSame(asked(offline, 100)[0]?.[1], [20, 21, 22])
  t.end()
})

t.test('nobody is asked where nobody holds any more, nor behind a file that cannot be understood', t => {
  const untagged = silent()
  t.equal(asked(untagged, 100).length, 1)
  untagged.peer.untag()
  t.strictSame(asked(untagged, 300), [])
  const unread = silent()
  t.equal(asked(unread, 100).length, 1)
  unread.peer.file = { kind: 'unreadable', why: 'schema 2' }
  t.strictSame(asked(unread, 300), [])
  t.end()
})

t.test('nobody is asked while configurations differ', t => {
  const scene = silent()
  scene.world.cluster('c').says({ digest: 'another' })
  t.strictSame(asked(scene, 300), [])
  t.end()
})

t.test('a pin is given up when its own target is weak for 20 s, whatever the others are', t => {
  for (const [pods, promotes] of [
    [0, true],
    [1, false],
  ] as const) {
    const { world, decider } = quiet('a', 'b', ['a', 'b', 'c'])
    world.pin('c')
    world.cluster('b').untag()
    world.cluster('c').reports(pods)
    const seconds = world.secondsUntil(() => decider.promotes === 'emergency', 300)
    t.equal(seconds !== undefined, promotes, `${pods} pods`)
  }
  t.end()
})

t.test('one other cluster that can serve, with one pod, is enough to stop the last resort', t => {
  const { world, own, decider } = quiet('a', 'b', ['a', 'b', 'c'])
  own.pods = null
  world.cluster('b').reports(0)
  world.cluster('c').reports(1)
  world.run(500)
  t.strictSame(decider.steps(), [])
  t.end()
})
