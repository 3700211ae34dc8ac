import t from 'tap'
import type { PoolStatus } from '../../decider/model.ts'
import { type Scene, branchOf, emergency, failing, losing, onLook, pause, pinned, scene } from './act-scene.ts'

/** What is written and said, word for word: people read the log, the status files and the history. */

t.test('a status file is pushed whole, from a fixed start, past CI', async t => {
  const world = emergency()
  const writes: object[] = []
  const push = world.gitlab.replaceBranchFile.bind(world.gitlab)
  world.gitlab.replaceBranchFile = write => {
    writes.push(write)
    return push(write)
  }
  await world.cycle()
  const content = world.gitlab.files.get(branchOf('a')) ?? ''
  t.strictSame(writes, [
    {
      project: 1,
      branch: 'hadr/a',
      startSha: 'start',
      path: 'status.json',
      content,
      message: 'Status of cluster a, seq 1 [skip ci]',
    },
  ])
  t.equal(content, `${JSON.stringify(world.documentOf('a'), null, 2)}\n`)
  t.match(world.documentOf('a'), { pools: { rnd: { active: true, epoch: 1, reason: 'PROMOTING' } } })
})

t.test('history tells who took over, when by GitLab’s clock, and why', async t => {
  const world = emergency()
  const writes: { content: string }[] = []
  const create = world.gitlab.createFile.bind(world.gitlab)
  world.gitlab.createFile = write => {
    writes.push(write)
    return create(write)
  }
  const at = new Date(world.gitlab.serverNowMs()).toISOString()
  await world.cycle()
  const [write] = writes
  const entry = {
    schema: 1,
    pool: 'rnd',
    mainTag: 'rnd-runner',
    epoch: 1,
    cluster: 'a',
    cause: 'emergency',
    why: 'Nobody serves the main tag and this cluster can.',
    at,
    scores: { a: 4, b: 4 },
  }
  t.strictSame(write, {
    project: 1,
    branch: 'hadr-history',
    startBranch: 'main',
    path: 'rnd/1-a.json',
    content: `${JSON.stringify(entry, null, 2)}\n`,
    message: 'rnd-runner to cluster a, epoch 1 [skip ci]',
  })
})

t.test('why the tag was kept, or not taken, is in the log', async t => {
  const again = 'GitLab cannot be read again; keeping the main tag'
  const unproven = 'the winner is no longer proven to serve; keeping the main tag'
  const unseen = 'the inactive status could not be published and seen; keeping the main tag'
  const cases: [arrange: (world: Scene) => void, message: string, fields: object][] = [
    [world => (world.gitlab.fault = failing('publish', 'forbidden')), unseen, { pool: 'rnd' }],
    [world => onLook(world, 3, () => pause(world, 20)), unproven, { pool: 'rnd', winner: 'b' }],
    [world => onLook(world, 3, () => world.says('a', { active: true })), unproven, { pool: 'rnd', winner: 'b' }],
    [
      world => {
        let looks = 0
        world.gitlab.fault = call => (call === 'read' && ++looks === 3 ? { kind: 'rate_limited' } : undefined)
      },
      again,
      { pool: 'rnd', why: /GitLab read/ },
    ],
  ]
  for (const [arrange, message, fields] of cases) {
    const world = await losing()
    world.warnings.length = 0
    arrange(world)
    await world.cycle()
    t.match(world.warnings, [{ message, fields }], message)
  }
  const world = await pinned()
  world.warnings.length = 0
  world.gitlab.fault = failing('publish', 'forbidden')
  await world.cycle()
  t.strictSame(world.warnings[0], {
    message: 'the claim could not be published and seen; not promoting',
    fields: { pool: 'rnd', cause: 'pin' },
  })
})

t.test('an older publish that may still land keeps the tag for a minute, whoever sent it', async t => {
  for (const [agoMs, removed] of [
    [59_999, false],
    [60_000, true],
  ] as const) {
    const world = await losing()
    world.warnings.length = 0
    const { publisher } = world
    // Another pool of the same cluster published meanwhile, and its answer was lost.
    onLook(world, 2, () => {
      Object.defineProperty(publisher, 'doubtMonotonicMs', { value: world.clock.nowMs - agoMs, configurable: true })
    })
    await world.cycle()
    t.equal(world.holds(10), !removed, `${agoMs} ms ago`)
    const message = 'an older publish may still land; keeping the main tag'
    t.strictSame(world.warnings, removed ? [] : [{ message, fields: { pool: 'rnd' } }])
  }
})

t.test('runners with a pod behind them get the tag first, then those that GitLab calls online', async t => {
  const world = scene()
  world.says('a', { active: true, epoch: 3 })
  world.gitlab.add(11, 'runner-a')
  world.gitlab.add(12, 'runner-a')
  world.gitlab.add(13, 'runner-a')
  for (const id of [10, 11]) {
    const runner = world.gitlab.runners.get(id)
    if (runner) world.gitlab.runners.set(id, { ...runner, online: false })
  }
  const order = async (servingIds: readonly number[]) => {
    world.capacity.own = { known: true, available: 4, unknownPods: 0, total: 4, desired: null, servingIds }
    const { deeds } = await world.cycle()
    for (const id of [10, 11, 12, 13]) {
      const runner = world.gitlab.runners.get(id)
      if (runner) world.gitlab.runners.set(id, { ...runner, tags: runner.tags.filter(tag => tag !== 'rnd-runner') })
    }
    return deeds.filter(({ operation }) => operation === 'add').map(({ runnerId }) => runnerId)
  }
  t.strictSame(await order([13]), [13, 12, 10, 11])
  t.strictSame(await order([11]), [11, 12, 13, 10])
  world.capacity.own = { known: false, why: 'no answer' }
  const { deeds } = await world.cycle()
  const added = deeds.filter(({ operation }) => operation === 'add').map(({ runnerId }) => runnerId)
  t.strictSame(added, [12, 13, 10, 11], 'nobody knows which have a pod')
})

t.test('a fencing whose answer was lost leaves doubt, a failed or done one does not', async t => {
  for (const [kind, applied, doubt] of [
    ['unavailable', true, true],
    ['forbidden', false, false],
    [undefined, false, false],
  ] as const) {
    const world = scene()
    world.says('a', { active: true, epoch: 3 })
    world.says('b')
    world.gitlab.add(10, 'runner-a', 'rnd-runner')
    world.gitlab.add(20, 'runner-b', 'rnd-runner')
    pause(world, 20)
    world.gitlab.fault = call => (call === 'put' && kind ? { kind, applied } : undefined)
    let fencedMs: number | undefined
    for (let cycles = 0; cycles < 12 && fencedMs === undefined; cycles++) {
      const { deeds } = await world.cycle()
      if (deeds.some(({ operation }) => operation === 'fence')) fencedMs = world.clock.nowMs
    }
    t.not(fencedMs, undefined)
    const { seen } = await world.cycle()
    t.equal(seen.outcomes.doubtMonotonicMs !== undefined, doubt, kind ?? 'done')
  }
})

t.test('what fails is told with its reason', async t => {
  const world = emergency()
  world.gitlab.fault = failing('history', 'forbidden')
  t.match((await world.cycle()).deeds.at(-1), {
    operation: 'history',
    result: 'failed',
    why: 'GitLab history of the test: as the test wants it',
  })
})

t.test('the published part is the one that was meant', async t => {
  const world = await pinned()
  const changes: Partial<PoolStatus>[] = [{ epoch: 9 }, { active: false }]
  for (const change of changes) {
    const before = world.gitlab.tagsOf(10)
    onLook(world, 2, () => world.says('a', change))
    await world.cycle()
    t.strictSame(world.gitlab.tagsOf(10), before, JSON.stringify(change))
    world.gitlab.onCall = () => undefined
    world.says('a', { active: false, epoch: 0 })
  }
})
