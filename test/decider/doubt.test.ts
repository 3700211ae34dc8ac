import t from 'tap'
import { failing, losing, onLook, pause } from './act-scene.ts'
import { quiet } from './scenario.ts'

/** Cluster a holds, and b has just taken over by a higher claim and is proven to serve. */
function outdone() {
  const scene = quiet('a', 'a')
  const takeOver = () => {
    scene.peer.says({ active: true, epoch: 4 })
    scene.peer.tag()
  }
  return { ...scene, takeOver }
}

t.test('nothing of ours is removed while a write of ours may still land', t => {
  t.test('after a start: nobody knows what the process before had under way', t => {
    const { world, decider, takeOver } = outdone()
    takeOver()
    decider.restarts()
    world.step(10)
    t.equal(
      world.secondsUntil(() => decider.demotes, 300),
      60,
    )
    t.end()
  })

  t.test('a start delays leftovers as well', t => {
    const { world, decider, own } = quiet('a', 'b')
    own.tag()
    decider.restarts()
    world.step(10)
    t.equal(
      world.secondsUntil(() => decider.demotes, 300),
      60,
    )
    t.end()
  })

  t.test('after a publish whose answer was lost, whatever is published since', t => {
    const { world, decider, own, takeOver } = outdone()
    decider.publishing = 'ambiguous'
    own.reports(5)
    world.step(10)
    decider.publishing = 'works'
    takeOver()
    t.equal(
      world.secondsUntil(() => decider.demotes, 300),
      60,
    )
    t.end()
  })

  t.test('a publish that was refused delays nothing', t => {
    const { world, decider, own, takeOver } = outdone()
    decider.publishing = 'fails'
    own.reports(5)
    world.step(10)
    decider.publishing = 'works'
    takeOver()
    world.step(10)
    t.ok(decider.demotes)
    t.end()
  })

  t.test('the loop tells of lost answers, and of no refusals', async t => {
    for (const [kind, delayed] of [
      ['unavailable', true],
      ['forbidden', false],
    ] as const) {
      const world = await losing()
      world.gitlab.fault = failing('publish', kind, true)
      await world.cycle()
      world.gitlab.fault = () => undefined
      world.says('b')
      const { plan, seen } = await world.cycle()
      t.equal(seen.outcomes.doubtMonotonicMs !== undefined, delayed, kind)
      t.equal(plan.step.kind === 'demote', !delayed, kind)
    }
  })

  t.test('another pool’s publish counts even when its answer is lost in the middle of yielding', async t => {
    const world = await losing()
    onLook(world, 2, () => {
      world.gitlab.fault = failing('publish', 'unavailable', true)
      const part = world.documentOf('a')?.pools['rnd']
      if (part) world.publisher.publish('other', part).catch(() => undefined)
    })
    const { plan } = await world.cycle()
    t.equal(plan.step.kind, 'demote')
    t.ok(world.holds(10))
  })

  t.test('after a fencing whose answer was lost', async t => {
    const world = await losing()
    world.says('b', { active: false })
    // Nobody asks a paused runner whether it lives.
    pause(world, 20)
    for (let cycles = 0; cycles < 20; cycles++) {
      world.gitlab.fault = failing('put', 'unavailable')
      await world.cycle()
    }
    t.ok(world.holds(20), 'b fell silent and is fenced in vain')
    world.gitlab.fault = () => undefined
    const { seen, deeds } = await world.cycle()
    t.match(deeds.at(-1), { operation: 'fence', result: 'done' })
    t.not(seen.outcomes.doubtMonotonicMs, undefined)
    world.gitlab.add(20, 'runner-b', 'rnd-runner')
    world.says('b', { active: true, epoch: 9 })
    t.equal((await world.cycle()).plan.step.kind, 'none')
  })
  t.end()
})

t.test('a new own file that is inactive starts the quarantine: another process may have begun to yield', t => {
  const { world, decider, own, peer } = quiet('a', 'b')
  own.file = { kind: 'absent' }
  decider.restarts()
  decider.publishing = 'fails'
  world.step(10)
  own.says({ active: false })
  peer.dies()
  peer.untag()
  world.step(10)
  t.equal(decider.plan.state, 'WAITING')
  t.equal(
    world.secondsUntil(() => decider.promotes !== undefined, 300),
    60,
  )
  t.end()
})
