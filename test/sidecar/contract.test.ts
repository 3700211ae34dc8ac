import { readFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { createNodeTransport } from '../../lib/http/node-transport.ts'
import { sendJson, startServer } from '../lib/gitlab-server.ts'
import { RunnerDouble } from './runner-double.ts'
import { startWorld } from './world.ts'

const fixture = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8')
const contract = fixture('contract.prom').trimEnd().split('\n')
const runners = JSON.parse(fixture('group-runners.json')) as { id: number }[]

/** A GitLab of the time of the contract: no GraphQL, runners that are their pods, and a list with them all. */
async function startOldGitLab(t: Test) {
  return startServer(t, ({ path }, response) => {
    const id = Number(/^\/api\/v4\/runners\/(\d+)/.exec(path)?.[1])
    const runner = runners.find(candidate => candidate.id === id)
    if (path.startsWith('/api/v4/groups/33/runners')) {
      sendJson(response, runners, 200, { 'x-total': String(runners.length), 'x-next-page': '' })
    } else if (runner !== undefined) {
      sendJson(response, { ...runner, tag_list: ['runner-a'], locked: false, contacted_at: '2026-01-01T00:00:00Z' })
    } else {
      sendJson(response, { message: '404 Not Found' }, 404)
    }
  })
}

async function startContractWorld(t: Test, host: string) {
  const { url } = await startOldGitLab(t)
  const transport = createNodeTransport()
  t.teardown(() => transport.close())
  const runner = new RunnerDouble()
  runner.trouble = 'refused'
  return startWorld(t, {
    runner: runner.transport(),
    gitlab: { url, transport },
    token: 'dasdasdasd',
    statusCheckSeconds: 5,
    options: {
      place: { podName: 'runner-1', podNamespace: 'runners', podIp: '127.0.0.1', groupId: '33' },
      names: [host, 'runner-1'],
    },
  })
}

t.test('the four metrics of the contract are exposed line for line', async t => {
  const { run, get } = await startContractWorld(t, 'gitlab-runner-76cc4c686c-ds92l')
  await run(285_062.274212)
  const { body } = await get('/metrics')
  const names = contract.filter(line => line.startsWith('# TYPE')).map(line => line.split(' ')[2] ?? '')
  t.equal(names.length, 4)
  const exposed = body
    .split('\n')
    .filter(line => names.some(name => line.replace(/^# (HELP|TYPE) /, '').startsWith(name)))
  t.same(exposed, contract)
})

t.test('a runner that GitLab calls offline has the status 0, and one that is in no list has none', async t => {
  const offline = await startContractWorld(t, 'gitlab-runner-76cc4c686c-2wjrp')
  await offline.run(10_000)
  t.equal(await offline.online(), 0)
  const absent = await startContractWorld(t, 'gitlab-runner-76cc4c686c-other')
  await absent.run(10_000)
  t.equal(await absent.online(), undefined)
})

t.test('the metrics of ports have the names, texts and label of their contract', async t => {
  const { run, get } = await startContractWorld(t, 'x')
  await run(1_000)
  t.match(
    (await get('/metrics')).body,
    [
      '# HELP port_used Used Local Port Count',
      '# TYPE port_used gauge',
      'port_used{pod_name="runner-1"} 6',
      '',
      '# HELP port_total Total Local Port Count',
      '# TYPE port_total gauge',
      'port_total{pod_name="runner-1"} 28232',
      '',
    ].join('\n'),
  )
})

const promtool = spawnSync('promtool', ['--version']).error === undefined
const skip = promtool || process.env['CI'] === 'true' ? false : 'promtool is not installed'
t.test('promtool finds no fault but the two old names', { skip }, async t => {
  const { run, get } = await startContractWorld(t, 'gitlab-runner-76cc4c686c-ds92l')
  await run(10_000)
  const { stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], {
    input: (await get('/metrics')).body,
    encoding: 'utf8',
  })
  t.equal(error, undefined)
  const faults = `${stdout}${stderr}`.split('\n').filter(line => line !== '')
  t.same(faults, ['port_total non-counter metrics should not have "_total" suffix'])
})
