import t from 'tap'
import { GitLabError } from '../../lib/gitlab/types.ts'
import { type Scene, branchOf, emergency, failing, onLook, pinned, scene } from './act-scene.ts'

t.test('promotion', t => {
  t.test('publishes the claim, reads it back, adds the tag, and then writes history', async t => {
    const world = emergency()
    const { plan, deeds } = await world.cycle()
    t.match(plan.step, { kind: 'promote', cause: 'emergency' })
    t.strictSame(world.did, [
      'read',
      'publish hadr/a 1',
      'read',
      'get 10',
      'put 10 runner-a,linux,rnd-runner',
      'history rnd/1-a.json',
    ])
    t.strictSame(
      deeds.map(({ operation, result }) => `${operation} ${result}`),
      ['publish done', 'add done', 'history done'],
    )
    const history = JSON.parse(world.gitlab.files.get('hadr-history:rnd/1-a.json') ?? '{}') as object
    t.match(history, { schema: 1, pool: 'rnd', epoch: 1, cluster: 'a', cause: 'emergency', why: /./ })
    const next = await world.cycle()
    t.equal(next.plan.state, 'ACTIVE')
    t.strictSame(world.did, ['read'], 'and then there is nothing left to do')
  })

  t.test('by pin or preference stops when the claim is not seen; an emergency goes on', async t => {
    const cases: [name: string, arrange: (world: Scene) => void][] = [
      ['the publish is refused', world => (world.gitlab.fault = failing('publish', 'forbidden'))],
      ['its answer is lost and it did not land', world => (world.gitlab.fault = failing('publish', 'unavailable'))],
      ['its answer is lost and it landed', world => (world.gitlab.fault = failing('publish', 'unavailable', true))],
      [
        'the read-back shows an older seq',
        world => {
          const before = world.gitlab.files.get(branchOf('a'))
          onLook(world, 2, () => {
            if (before === undefined) world.gitlab.files.delete(branchOf('a'))
            else world.gitlab.files.set(branchOf('a'), before)
          })
        },
      ],
      [
        'the read-back shows a newer seq without the claim',
        world => onLook(world, 2, () => world.says('a', { active: false })),
      ],
      [
        'the read-back fails',
        world => {
          let looks = 0
          world.gitlab.fault = call => (call === 'read' && ++looks === 2 ? { kind: 'unavailable' } : undefined)
        },
      ],
    ]
    for (const [name, arrange] of cases) {
      const urgent = emergency()
      arrange(urgent)
      t.match((await urgent.cycle()).plan.step, { cause: 'emergency' })
      t.ok(urgent.holds(10), `an emergency goes on though ${name}`)
      t.notOk(
        urgent.did.some(entry => entry.startsWith('history')),
        'no switch is noted that nobody saw',
      )
      const wished = await pinned()
      arrange(wished)
      t.match((await wished.cycle()).plan.step, { cause: 'pin' })
      t.notOk(wished.holds(10), `a pin stops when ${name}`)
      t.notOk(wished.did.some(entry => entry.startsWith('put')))
    }
  })

  t.test('by preference stops as well when the claim is not seen', async t => {
    const world = scene()
    world.says('a')
    world.says('b', { active: true, epoch: 3, available: 1, lastKnown: 1, total: 1 })
    world.gitlab.add(20, 'runner-b', 'rnd-runner')
    const push = world.gitlab.replaceBranchFile.bind(world.gitlab)
    world.gitlab.replaceBranchFile = write =>
      write.content.includes('"active": true')
        ? Promise.reject(new GitLabError('forbidden', 'publish', 'no claim today'))
        : push(write)
    let cause: string | undefined
    for (let cycles = 0; cycles < 200 && cause === undefined; cycles++) {
      world.says('b')
      const { step } = (await world.cycle()).plan
      if (step.kind === 'promote') cause = step.cause
    }
    t.equal(cause, 'prefer')
    t.notOk(world.holds(10))
  })

  t.test('by pin whose claim landed unseen is finished by the next cycle', async t => {
    const world = await pinned()
    world.gitlab.fault = failing('publish', 'unavailable', true)
    await world.cycle()
    t.notOk(world.holds(10))
    world.gitlab.fault = () => undefined
    world.says('b')
    const { plan } = await world.cycle()
    t.match(plan.step, { kind: 'tend', addIds: [10] })
    t.ok(world.holds(10))
  })

  t.test('history that exists already is no failure, and one that fails fails nothing', async t => {
    for (const [kind, result] of [
      ['conflict', 'unchanged'],
      ['forbidden', 'failed'],
      ['unavailable', 'ambiguous'],
    ] as const) {
      const world = emergency()
      world.gitlab.fault = call => (call === 'history' ? { kind } : undefined)
      const { deeds } = await world.cycle()
      t.match(deeds.at(-1), { operation: 'history', result })
      t.ok(world.holds(10))
    }
  })

  t.test('one runner that fails hinders no other, and is mended by the next cycle', async t => {
    const world = emergency()
    world.gitlab.add(11, 'runner-a')
    world.gitlab.fault = (call, subject) =>
      call === 'put' && subject.startsWith('10') ? { kind: 'unavailable' } : undefined
    const { deeds } = await world.cycle()
    const added = deeds.filter(({ operation }) => operation === 'add')
    t.match(added, [
      { runnerId: 10, result: 'ambiguous' },
      { runnerId: 11, result: 'done' },
    ])
    t.strictSame([world.holds(10), world.holds(11)], [false, true])
    world.gitlab.fault = () => undefined
    world.says('b')
    await world.cycle()
    t.ok(world.holds(10))
  })
  t.end()
})
