import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { startServer } from '../lib/gitlab-server.ts'
import { RunnerDouble } from '../sidecar/runner-double.ts'
import { startFurnished, TOKENS } from '../support/gitlab.ts'

interface Line {
  level: string
  msg: string
  address?: string
  problem?: string
}

/** A sidecar in a process of its own, with a hundredth of the usual intervals. */
function launch(t: Test, argv: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--import=tsx', 'cli/sidecar-main.ts', ...argv], {
    env: { PATH: process.env['PATH'], HADR_TIME_SCALE: '0.01', HADR_LISTEN: '127.0.0.1:0', HOSTNAME: 'pod-1', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines: Line[] = []
  const output: string[] = []
  const reader = createInterface(child.stdout)
  reader.on('line', text => {
    output.push(text)
    if (text.startsWith('{')) lines.push(JSON.parse(text) as Line)
  })
  const said = async (message: RegExp): Promise<Line> => {
    for (;;) {
      const found = lines.find(({ msg }) => message.test(msg))
      if (found !== undefined) return found
      await once(reader, 'line')
    }
  }
  const ended = once(child, 'close') as Promise<[code: number | null, signal: string | null]>
  const get = async (path: string) => {
    const { address = '' } = await said(/^listening/)
    const response = await fetch(`http://${address}${path}`)
    return { status: response.status, body: await response.text() }
  }
  return { child, lines, output, said, ended, get }
}

async function startRunner(t: Test) {
  const runner = new RunnerDouble()
  const { url } = await startServer(t, (_request, response) => {
    if (runner.trouble === undefined) {
      runner.poll()
      response.end(runner.text())
    } else response.destroy()
  })
  return { runner, url: `${url}/metrics` }
}

t.test(
  'a sidecar finds its runner, says that it is available, and outlives SIGTERM as long as the runner does',
  async t => {
    const gitlab = await startFurnished(t)
    const { runner, url } = await startRunner(t)
    runner.add('aaaaaaaaa', 'r_AAAAAAAAAAAA')
    await gitlab.ask('POST', '/jobs/request', { body: { token: 'glrt-t2_aaaaaaaaaaaa', system_id: 'r_AAAAAAAAAAAA' } })
    const file = `${t.testdir({ token: `${TOKENS.reader}\n` })}/token`
    const argv = ['sidecar', '-u', gitlab.url, '-i', '33', '--gitlab-token-file', file, '--runner-metrics-url', url]
    const { child, lines, said, ended, get } = launch(t, argv)
    await said(/^found this runner/)
    await said(/^the runner is available/)
    t.match(await get('/healthz'), { status: 200 })
    const { body } = await get('/metrics')
    t.match(body, /sidecar_available\{group_id="33",pod_ip="",pod_name="pod-1",pod_namespace=""\} 1\n/)
    t.match(body, /runner_info\{pod_name="pod-1",pod_namespace="",runner_id="1",system_id="r_AAAAAAAAAAAA"\} 1\n/)
    t.match(body, /sidecar_check\{check="configuration"\} 1\n/)

    child.kill('SIGTERM')
    await said(/^the runner is unavailable: shutting_down/)
    t.match(await get('/healthz'), { status: 503, body: /shutting_down/ })
    runner.trouble = 'refused'
    t.same(await ended, [0, null])
    t.same(
      lines.filter(({ level }) => level === 'error'),
      [],
    )
    t.notMatch(JSON.stringify(lines), TOKENS.reader)
  },
)

t.test('every mistake at once leaves it running, and a second signal ends it at once', async t => {
  const holder = createServer().listen(0, '127.0.0.1')
  t.teardown(() => holder.close())
  await once(holder, 'listening')
  const { runner, url } = await startRunner(t)
  runner.add('aaaaaaaaa')
  const taken = `127.0.0.1:${(holder.address() as AddressInfo).port}`
  const { child, lines, said, ended } = launch(
    t,
    ['-t', 'glpat-secret', '--listen', taken, '-s', '0', '--nonsense', '--gitlab-ca-file', '/nowhere', '-r'],
    { HADR_RUNNER_METRICS_URL: url },
  )
  await said(/^cannot listen/)
  await said(/^the runner is available/)
  const problems = lines.flatMap(({ problem }) => problem ?? [])
  for (const flag of ['--nonsense', '--status-check-interval', '-r', '--gitlab-url']) {
    t.ok(
      problems.some(problem => problem.startsWith(flag)),
      flag,
    )
  }
  await said(/the token was given as an argument/)
  t.notMatch(JSON.stringify(lines), 'glpat-secret')
  child.kill('SIGTERM')
  await said(/^told to stop/)
  child.kill('SIGTERM')
  t.same(await ended, [0, null])
})

t.test('an interrupt from a terminal ends it at once', async t => {
  const { child, said, ended, get } = launch(t, ['sidecar'])
  await said(/^listening/)
  t.match(await get('/livez'), { status: 200 })
  child.kill('SIGINT')
  t.same(await ended, [0, null])
})

t.test('help ends with 0 and starts nothing', async t => {
  const { output, ended } = launch(t, ['sidecar', '--help'])
  t.same(await ended, [0, null])
  t.match(output.join('\n'), /--status-check-interval.*HADR_STATUS_CHECK_INTERVAL/)
})
