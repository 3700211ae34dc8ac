import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { statusSchema } from '../../decider/status/schema.ts'
import { statusMistakes } from '../support/status-schema.ts'
import { MAIN_TAG, type World, createWorld } from '../support/world.ts'

const PAIR = [{ name: 'a', tagged: true, priority: 2 }, { name: 'b' }]
const poolOf = (world: World, cluster: string) => world.clusters[cluster]?.decider?.status().pools[0]

/** Moves time in steps of ten seconds and looks at every answer on the way. */
async function watch(t: Test, world: World, forMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < forMs; passedMs += 10_000) {
    await world.clock.advance(10_000)
    for (const { name, decider } of Object.values(world.clusters)) {
      if (decider) t.strictSame(statusMistakes(decider.status()), [], `cluster ${name} after ${passedMs} ms`)
    }
  }
}

async function wish(world: World, pool: object): Promise<void> {
  await world.gitlab.handle({
    method: 'POST',
    path: '/api/v4/projects/101/repository/commits',
    headers: { 'content-type': 'application/json', 'private-token': 'glpat-a' },
    body: JSON.stringify({
      branch: 'main',
      commit_message: 'wishes',
      actions: [
        {
          action: world.gitlab.state.readFile(101, 'main', 'control.json') === undefined ? 'create' : 'update',
          file_path: 'control.json',
          content: JSON.stringify({ schema: 1, pools: { [MAIN_TAG]: pool } }),
        },
      ],
    }),
    signal: new AbortController().signal,
  })
}

t.test('every answer follows the published schema, through a fail-over, an outage and a return', async t => {
  const world = createWorld({ clusters: PAIR })
  const [a, b] = Object.values(world.clusters)
  a?.start()
  b?.start()
  t.strictSame(statusMistakes(a?.decider?.status()), [], 'before the first cycle')
  t.strictSame(a?.decider?.status().pools, [])
  await watch(t, world, 60_000)
  a?.die()
  await watch(t, world, 150_000)
  world.gitlab.faults.outage({ kind: 'status', status: 503 })
  await watch(t, world, 60_000)
  world.gitlab.faults.clear()
  a?.start()
  await watch(t, world, 120_000)

  t.match(poolOf(world, 'b'), { verdict: 'ok', holders: ['b'] })
  const kinds = poolOf(world, 'b')?.decisions.map(({ step }) => step)
  t.ok(kinds?.includes('promote') && kinds.includes('tend'), 'the answers had something to tell')
})

t.test('the timeline tells who held the main tag when', async t => {
  const world = createWorld({ clusters: PAIR })
  for (const cluster of Object.values(world.clusters)) cluster.start()
  await world.clock.advance(60_000)
  const startMs = world.clock.wallMs()
  t.match(poolOf(world, 'b')?.timeline, [{ holders: ['a'] }])
  world.clusters['a']?.die()
  await world.until(() => world.holders().join() === 'b', 200_000)
  await world.clock.advance(20_000)

  const timeline = poolOf(world, 'b')?.timeline ?? []
  t.strictSame(timeline[0]?.holders, ['a'])
  t.strictSame(timeline.at(-1)?.holders, ['b'])
  t.notOk(timeline.some(({ holders }) => holders?.length === 0))
  const movedMs = Date.parse(timeline.at(-1)?.at ?? '') - startMs
  t.ok(movedMs > 0 && movedMs < world.clock.wallMs() - startMs)
  t.match(poolOf(world, 'b'), {
    verdict: 'degraded',
    problems: [{ level: 'warning', text: 'No other cluster could take over now (a: silent).' }],
  })
})

t.test('during an outage of GitLab what was read last stays, with the reason', async t => {
  const world = createWorld({ clusters: PAIR })
  for (const cluster of Object.values(world.clusters)) cluster.start()
  await world.clock.advance(60_000)
  world.gitlab.faults.outage({ kind: 'status', status: 503 })
  await world.clock.advance(60_000)
  t.match(poolOf(world, 'b'), {
    verdict: 'degraded',
    holders: ['a'],
    gitlabReadable: false,
    timeline: [{ holders: ['a'] }, { holders: null }],
    problems: [{ text: /^GitLab cannot be read \(.+\)\. Nothing moves until it can\. What is shown/ }],
  })
  world.gitlab.faults.clear()
  await world.clock.advance(60_000)
  t.match(poolOf(world, 'b'), { verdict: 'ok', gitlabReadable: true })
  t.equal(poolOf(world, 'b')?.timeline.length, 1, 'nothing had changed')
})

t.test('a pause and a pin are told until they expire by GitLab’s clock', async t => {
  const world = createWorld({ clusters: PAIR })
  for (const cluster of Object.values(world.clusters)) cluster.start()
  await world.clock.advance(60_000)
  t.match(poolOf(world, 'a'), { pause: null, pin: null })
  const until = new Date(world.clock.wallMs() + 600_000).toISOString()
  await wish(world, {
    pause: { until, by: 'ann', why: 'upgrade' },
    pin: { to: 'a', until, by: 'kim', why: 'b is slow', force: true },
  })
  await watch(t, world, 60_000)
  t.match(poolOf(world, 'a'), {
    state: 'PAUSED',
    pause: { until, by: 'ann', why: 'upgrade' },
    pin: { to: 'a', until, by: 'kim', why: 'b is slow', force: true },
  })
  await world.clock.advance(600_000)
  t.match(poolOf(world, 'a'), { state: 'ACTIVE', pause: null, pin: null })
})

t.test('an unknown capacity is a problem with its reason', async t => {
  const world = createWorld({ clusters: PAIR })
  for (const cluster of Object.values(world.clusters)) cluster.start()
  await world.clock.advance(60_000)
  const { a } = world.clusters
  if (a) a.available = undefined
  await watch(t, world, 60_000)
  t.match(poolOf(world, 'a'), {
    verdict: 'degraded',
    clusters: [{ name: 'a', available: null, total: 2 }],
    problems: [
      { level: 'warning', text: /^How many runners this cluster has is not known \(.*connection refused.*\)/ },
    ],
  })
})

t.test('the published schema is that of the code; `npm run generate` writes it anew', t => {
  const published = JSON.parse(readFileSync('docs/status.schema.json', 'utf8')) as unknown
  t.strictSame(published, JSON.parse(JSON.stringify(statusSchema)))
  t.end()
})

t.test('the schema refuses what is not an answer', t => {
  const world = createWorld({ clusters: PAIR })
  world.clusters['a']?.start()
  const answer = world.clusters['a']?.decider?.status()
  t.match(statusMistakes({ ...answer, schema: 2 }), [/schema/])
  t.match(statusMistakes({ ...answer, more: 1 }), [/additional/])
  t.match(statusMistakes({ ...answer, at: 'yesterday' }), [/date-time/])
  t.end()
})
