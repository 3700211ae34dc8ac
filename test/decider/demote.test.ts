import t from 'tap'
import { type Scene, branchOf, failing, losing, onLook, pause } from './act-scene.ts'

t.test('yielding', t => {
  t.test('publishes inactive, reads that back, looks at the winner anew, and only then removes', async t => {
    const world = await losing()
    const { plan, deeds } = await world.cycle()
    t.match(plan.step, { kind: 'demote', winner: 'b' })
    t.strictSame(world.did, ['read', 'publish hadr/a 6', 'read', 'read', 'get 10', 'put 10 runner-a,linux'])
    t.strictSame(
      deeds.map(({ operation, result }) => `${operation} ${result}`),
      ['publish done', 'remove done'],
    )
    world.says('b')
    const next = await world.cycle()
    t.equal(next.plan.state, 'STANDBY')
    t.not(next.plan.next.quarantineFromServerMs, undefined)
  })

  t.test('keeps the tag on any doubt', async t => {
    const cases: [name: string, arrange: (world: Scene) => void][] = [
      ['the publish is refused', world => (world.gitlab.fault = failing('publish', 'forbidden'))],
      ['its answer is lost', world => (world.gitlab.fault = failing('publish', 'unavailable'))],
      ['its answer is lost though it landed', world => (world.gitlab.fault = failing('publish', 'unavailable', true))],
      [
        'the read-back shows an older seq: a late heartbeat came after it',
        world => {
          const before = world.gitlab.files.get(branchOf('a')) ?? ''
          onLook(world, 2, () => world.gitlab.files.set(branchOf('a'), before))
        },
      ],
      [
        'a late heartbeat lands after the read-back',
        world => onLook(world, 3, () => world.says('a', { active: true })),
      ],
      ['the own file is gone at the look', world => onLook(world, 2, () => world.gitlab.files.delete(branchOf('a')))],
      ['the winner’s tag is gone', world => onLook(world, 3, () => world.gitlab.add(20, 'runner-b'))],
      ['the winner’s runner is paused', world => onLook(world, 3, () => pause(world, 20))],
      ['the winner is active no more', world => onLook(world, 3, () => world.says('b', { active: false }))],
      ['the winner knows its number no more', world => onLook(world, 3, () => world.says('b', { available: null }))],
      ['the winner has nothing any more', world => onLook(world, 3, () => world.says('b', { available: 0 }))],
      ['the winner’s claim sank below ours', world => onLook(world, 3, () => world.says('b', { epoch: 2 }))],
      ['the winner’s configuration changed', world => onLook(world, 3, () => world.says('b', { digest: 'another' }))],
      ['the winner’s file is gone', world => onLook(world, 3, () => world.gitlab.files.delete(branchOf('b')))],
      ['the winner’s file broke', world => onLook(world, 3, () => world.gitlab.files.set(branchOf('b'), '{'))],
      [
        'the look fails',
        world => {
          let looks = 0
          world.gitlab.fault = call => (call === 'read' && ++looks === 3 ? { kind: 'rate_limited' } : undefined)
        },
      ],
      ['the look took longer than 2 P', world => onLook(world, 3, () => (world.clock.nowMs += 20_001))],
      ['the publish took longer than 2 P', world => onLook(world, 2, () => (world.clock.nowMs += 20_001))],
    ]
    for (const [name, arrange] of cases) {
      const world = await losing()
      arrange(world)
      const { plan } = await world.cycle()
      t.equal(plan.step.kind, 'demote', name)
      t.ok(world.holds(10), name)
      t.notOk(
        world.did.some(entry => entry.startsWith('put')),
        name,
      )
    }
  })

  t.test('is tried again by the next cycle, now as a leftover', async t => {
    const world = await losing()
    onLook(world, 3, () => world.gitlab.add(20, 'runner-b'))
    await world.cycle()
    t.equal(world.active(), false)
    world.gitlab.onCall = () => undefined
    world.says('b')
    await world.cycle()
    t.ok(world.holds(10), 'b does not serve')
    world.gitlab.add(20, 'runner-b', 'rnd-runner')
    world.says('b')
    const { plan } = await world.cycle()
    t.match(plan.step, { kind: 'demote', ours: null })
    t.notOk(world.holds(10))
  })

  t.test('of leftovers waits as well until its own seq is seen, though an older one says inactive, too', async t => {
    const world = await losing()
    world.says('a', { active: false })
    const before = world.gitlab.files.get(branchOf('a')) ?? ''
    onLook(world, 2, () => world.gitlab.files.set(branchOf('a'), before))
    const { plan } = await world.cycle()
    t.match(plan.step, { kind: 'demote', ours: null })
    t.ok(world.holds(10))
    world.gitlab.onCall = () => undefined
    world.says('b')
    await world.cycle()
    t.notOk(world.holds(10))
  })

  t.test('with an ambiguous removal starts the quarantine, an expired one does not', async t => {
    const ambiguous = await losing()
    ambiguous.gitlab.fault = failing('put', 'unavailable', true)
    const sentMs = ambiguous.gitlab.serverNowMs()
    await ambiguous.cycle()
    ambiguous.gitlab.fault = () => undefined
    const { seen } = await ambiguous.cycle()
    t.equal(seen.outcomes.removalSentServerMs, sentMs)

    const slow = await losing()
    slow.gitlab.onCall = call => {
      if (call === 'get') slow.clock.nowMs += 5000
    }
    const lookMs = slow.gitlab.serverNowMs()
    await slow.cycle()
    slow.gitlab.onCall = () => undefined
    t.equal((await slow.cycle()).seen.outcomes.removalSentServerMs, lookMs + 5000, 'when it was sent, not planned')

    const expired = await losing()
    expired.gitlab.onCall = call => {
      if (call === 'get') expired.clock.nowMs += 20_001
    }
    const { deeds } = await expired.cycle()
    t.match(deeds.at(-1), { operation: 'remove', result: 'expired' })
    t.ok(expired.holds(10))
    t.equal((await expired.cycle()).seen.outcomes.removalSentServerMs, undefined)
  })

  t.test('removes from every own runner and from nobody else’s, whatever other tags they have', async t => {
    const world = await losing()
    world.gitlab.add(11, 'runner-a', 'rnd-runner', 'gpu', 'linux')
    world.gitlab.add(12, 'rnd-runner', 'runner-a', 'runner-b')
    await world.cycle()
    t.strictSame(world.gitlab.tagsOf(11), ['runner-a', 'gpu', 'linux'])
    t.ok(world.holds(12), 'carries both clusters’ tags: nobody’s')
    t.ok(world.holds(20))
  })
  t.end()
})
