import t from 'tap'
import { runStatus } from '../../cli/status.ts'
import { runPause, runResume, runSwitch } from '../../cli/steer.ts'
import type { Overview } from '../../cli/steering/overview.ts'
import { createSimulatedTransport } from '../../simulator/gitlab/transport.ts'
import { createTestTerminal, type TestTerminal } from '../support/terminal.ts'
import { createWorld, type World } from '../support/world.ts'

const TOKEN = 'glpat-ann-never-shown'
const PROJECT = 101
const POOL = 'rnd-runner'

type Run = (argv: readonly string[], terminal: TestTerminal) => Promise<number>

/** Two clusters with real deciders; ann is a Maintainer of the HADR project and nothing else. */
async function serving(options: { tokenScopes?: readonly ['api'] | readonly ['read_api'] } = {}): Promise<World> {
  const world = createWorld({ clusters: [{ name: 'a', tagged: true, priority: 2 }, { name: 'b' }] })
  world.gitlab.state.addToken({
    token: TOKEN,
    name: 'ann',
    scopes: options.tokenScopes ?? ['api'],
    projects: { [PROJECT]: 'maintainer' },
  })
  for (const cluster of Object.values(world.clusters)) cluster.start()
  await world.clock.advance(60_000)
  return world
}

function terminalOf(world: World, env: Record<string, string> = {}, isTerminal = false): TestTerminal {
  return createTestTerminal({
    env: { HADR_GITLAB_URL: 'http://gitlab.test', HADR_PROJECT: String(PROJECT), HADR_GITLAB_TOKEN: TOKEN, ...env },
    clock: world.clock,
    transport: createSimulatedTransport(world.gitlab, { clock: world.clock, latencyMs: () => 20 }),
    isTerminal,
  })
}

/** Moves time until the command has ended. */
async function run(world: World, command: Run, argv: readonly string[], terminal = terminalOf(world)) {
  let code: number | undefined
  const ending = command(argv, terminal).then(ended => (code = ended))
  for (let turns = 0; code === undefined && turns < 4000; turns++) await world.clock.advance(250)
  await ending
  t.notMatch(terminal.stdout + terminal.stderr, TOKEN)
  return { code, stdout: terminal.stdout, stderr: terminal.stderr }
}

function control(world: World) {
  const text = world.gitlab.state.readFile(PROJECT, 'main', 'control.json')
  return text === undefined ? undefined : (JSON.parse(text) as { pools: Record<string, Record<string, unknown>> })
}

function endOf(world: World): void {
  for (const cluster of Object.values(world.clusters)) cluster.die()
  world.gitlab.close()
}

t.test(
  'status shows who holds, how strong each cluster is and when it was last heard of, and exits with 0',
  async t => {
    const world = await serving()
    const { code, stdout } = await run(world, runStatus, [])
    t.equal(code, 0)
    t.match(stdout, /^rnd-runner: cluster a holds the main tag \(ok\)$/m)
    t.match(stdout, /^ {2}a +yes +2\/2 +2\/2 +\d+ s +1 +ACTIVE$/m)
    t.match(stdout, /^ {2}b +no +2\/2 +0\/2 +\d+ s +\d+ +STANDBY$/m)
    t.match(stdout, /epoch 1 to a \(emergency\)/)
    endOf(world)
  },
)

t.test('status as JSON has the documented shape, with runners’ tags where the token may read them', async t => {
  const world = await serving()
  world.gitlab.state.addToken({ token: 'glpat-owner', scopes: ['read_api'], groups: { 33: 'owner' } })
  const owner = terminalOf(world, { HADR_GITLAB_TOKEN: 'glpat-owner' })
  const { code, stdout } = await run(world, runStatus, ['-o', 'json', '--pool', POOL], owner)
  t.equal(code, 0)
  const overview = JSON.parse(stdout) as Overview
  t.match(overview, {
    schema: 1,
    at: /Z$/,
    verdict: 'ok',
    pools: [{ pool: POOL, holder: 'a', because: [], pause: null, pin: null }],
  })
  t.match(overview.pools[0]?.clusters, [
    {
      cluster: 'a',
      active: true,
      available: 2,
      total: 2,
      silent: false,
      tagged: { runners: 2, carrying: 2 },
      problem: null,
    },
    {
      cluster: 'b',
      active: false,
      available: 2,
      total: 2,
      silent: false,
      tagged: { runners: 2, carrying: 0 },
      problem: null,
    },
  ])
  t.match(overview.pools[0]?.switches, [{ epoch: 1, cluster: 'a', cause: 'emergency', why: /\w/ }])
  endOf(world)
})

t.test('status exits with 1 when a cluster is silent or the holder is weak, with 2 when nobody holds', async t => {
  const world = await serving()
  world.clusters['b']?.die()
  await world.clock.advance(120_000)
  const degraded = await run(world, runStatus, [])
  t.equal(degraded.code, 1)
  t.match(degraded.stdout, /! The decider of cluster b is silent\./)
  endOf(world)

  const empty = createWorld({ clusters: [{ name: 'a' }, { name: 'b' }] })
  empty.gitlab.state.addToken({ token: TOKEN, scopes: ['read_api'], projects: { [PROJECT]: 'reporter' } })
  t.match(await run(empty, runStatus, []), { code: 2, stdout: /No decider has published anything yet/ })
  endOf(empty)
})

t.test('status tells its own failures apart from an answer', async t => {
  const world = await serving()
  t.match(await run(world, runStatus, ['--loud']), { code: 64, stderr: /unknown option/ })
  t.match(await run(world, runStatus, ['--pool', 'nothing']), { code: 64, stderr: /known: rnd-runner/ })
  t.match(await run(world, runStatus, [], terminalOf(world, { HADR_PROJECT: '' })), {
    code: 78,
    stderr: /HADR_PROJECT/,
  })
  t.match(await run(world, runStatus, [], terminalOf(world, { HADR_GITLAB_TOKEN: '' })), {
    code: 78,
    stderr: /no GitLab token/,
  })
  world.gitlab.faults.add({ fault: { kind: 'status', status: 503 } })
  t.match(await run(world, runStatus, []), { code: 69, stderr: /503/ })
  endOf(world)
})

t.test('status --watch looks again every few seconds, in plain lines without a terminal, until Ctrl-C', async t => {
  const world = await serving()
  const terminal = terminalOf(world)
  const watching = runStatus(['--watch'], terminal)
  await world.clock.advance(12_000)
  terminal.interrupt()
  await world.clock.advance(1000)
  t.equal(await watching, 0)
  const lines = terminal.stdout.trim().split('\n')
  t.ok(lines.length >= 2)
  for (const line of lines) t.match(line, /^\d\d:\d\d:\d\d ok rnd-runner: a \(a 2\/2, b 2\/2\)$/)

  const screen = terminalOf(world, {}, true)
  const drawing = runStatus(['-w'], screen)
  await world.clock.advance(3000)
  screen.interrupt()
  await world.clock.advance(1000)
  await drawing
  t.ok(screen.stdout.startsWith('\u001b[H\u001b[2J'))
  endOf(world)
})

t.test('switch pins the pool, waits until the other cluster holds, and nobody was ever without the tag', async t => {
  const world = await serving()
  const argv = ['--pool', POOL, '--to', 'b', '--for', '1h30m', '--why', 'upgrade of a']
  const { code, stdout, stderr } = await run(world, runSwitch, argv)
  t.equal(code, 0, stdout + stderr)
  t.match(stdout, /Pool rnd-runner is pinned to cluster b for 90 min/)
  t.match(stdout, /Cluster a holds it now and gives it up once b is seen serving/)
  t.match(stdout, /Cluster b holds the main tag of rnd-runner \(after \d+ s\)/)
  t.match(stderr, /Cluster b: /)
  await world.until(() => world.holders().join() === 'b', 60_000)
  t.equal(world.nobodyMs(), 0)
  t.match(control(world)?.pools[POOL], { pin: { to: 'b', by: 'ann', why: 'upgrade of a' } })

  const after = await run(world, runStatus, [])
  t.match(after, { code: 0, stdout: /pinned to b for 8\d min more \(until .*\) by ann: upgrade of a/ })
  t.match(await run(world, runSwitch, argv), { code: 0, stdout: /holds the main tag already and keeps it/ })
  endOf(world)
})

t.test('switch refuses what the deciders would not follow, with the reason and the mend', async t => {
  const world = await serving()
  const to = (cluster: string, ...more: string[]) => run(world, runSwitch, ['--pool', POOL, '--to', cluster, ...more])
  t.match(await to('c'), { code: 1, stderr: /Refused: pool rnd-runner has no cluster c\. .*known: a, b/ })
  t.match(await run(world, runSwitch, ['--pool', 'x', '--to', 'b']), {
    code: 1,
    stderr: /no pool x.*known: rnd-runner/,
  })
  t.match(await to('b', '--for', 'soon'), { code: 2, stderr: /90s, 30m, 2h or 1d/ })
  const b = world.clusters['b']
  if (b) b.available = 0
  await world.clock.advance(30_000)
  t.match(await to('b'), { code: 1, stderr: /no available runner/ })
  t.match(await to('b', '--force'), { code: 1, stderr: /--force does not change this/ })
  if (b) b.available = 1
  await world.clock.advance(30_000)
  b?.killDecider()
  await world.clock.advance(110_000)
  t.match(await to('b'), { code: 1, stderr: /silent for 1\d\d s/ })
  t.equal(control(world), undefined, 'nothing was written')
  t.match(await to('b', '--force', '--timeout', '20s'), {
    code: 1,
    stderr: /Not moved within 20 s: .*silent.*The pin stays/,
  })
  t.match(control(world)?.pools[POOL], { pin: { to: 'b', force: true } })
  endOf(world)
})

t.test('a pause keeps everything where it is, resume ends it, and both say so', async t => {
  const world = await serving()
  t.match(await run(world, runPause, ['--pool', POOL, '--for', '2h', '--why', 'network work']), {
    code: 0,
    stdout: /paused for 2 h/,
  })
  t.match(await run(world, runSwitch, ['--pool', POOL, '--to', 'b']), {
    code: 1,
    stderr: /is paused, so nothing moves/,
  })
  await world.clock.advance(20_000)
  t.match(await run(world, runStatus, []), { code: 1, stdout: /paused for .* by ann: network work/ })
  world.clusters['a']?.die()
  await world.clock.advance(300_000)
  t.same(world.holders(), ['a'], 'a paused pool does not fail over')
  t.match(await run(world, runResume, ['--pool', POOL]), { code: 0, stdout: /neither paused nor pinned any more/ })
  await world.until(() => world.holders().includes('b'), 180_000)
  t.match(await run(world, runResume, ['--pool', POOL]), { code: 0, stdout: /is neither paused nor pinned/ })
  endOf(world)
})

t.test('two people who steer at once both get their wish, and a refused push is told', async t => {
  const world = await serving()
  const terminals = [terminalOf(world), terminalOf(world)] as const
  const both = Promise.all([
    runPause(['--pool', POOL], terminals[0]),
    runSwitch(['--pool', POOL, '--to', 'a', '--no-wait'], terminals[1]),
  ])
  let ended: readonly number[] | undefined
  void both.then(codes => (ended = codes))
  for (let turns = 0; !ended && turns < 200; turns++) await world.clock.advance(100)
  const pool = control(world)?.pools[POOL]
  t.ok(pool?.['pause'], 'the pause is there')
  t.ok(pool?.['pin'] !== undefined || terminals[1].stderr.includes('is paused'), 'the pin is there, or was refused')

  world.gitlab.state.addToken({ token: 'glpat-dev', scopes: ['api'], projects: { [PROJECT]: 'developer' } })
  const developer = terminalOf(world, { HADR_GITLAB_TOKEN: 'glpat-dev' })
  t.match(await run(world, runResume, ['--pool', POOL], developer), {
    code: 1,
    stderr: /Refused: .*not allowed to push.* takes the role Maintainer/,
  })
  endOf(world)
})
