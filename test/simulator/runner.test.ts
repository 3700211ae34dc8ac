import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { createHealth } from '../../simulator/runner/health.ts'
import { shorten, startRunner, type SimulatedRunnerOptions } from '../../simulator/runner/runner.ts'
import { startServer } from '../support/http.ts'

const TOKEN = 'glrt-t2_abcdefghijklmnop'
const LABELS = 'runner="abcdefghi",runner_name="pod-1",system_id="r_abcdefghijkl"'

interface Seen {
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: Record<string, unknown>
  text: string
}

/** A GitLab that answers as the test says; `until` resolves once the requests seen fulfil a condition. */
async function startScriptedGitLab(t: Test, answer: (request: Seen, response: ServerResponse) => void) {
  const seen: Seen[] = []
  const waiting = new Set<() => void>()
  const url = await startServer(t, ({ method = '', url = '', headers }, response, text) => {
    const isJson = headers['content-type'] === 'application/json'
    const request = { method, path: url, headers, text, body: isJson ? (JSON.parse(text) as Seen['body']) : {} }
    seen.push(request)
    answer(request, response)
    waiting.forEach(check => check())
  })
  const until = (condition: () => boolean) =>
    new Promise<void>(resolve => {
      const check = () => {
        if (!condition()) return
        waiting.delete(check)
        resolve()
      }
      waiting.add(check)
      check()
    })
  const isPoll = ({ path }: Seen) => path.endsWith('/jobs/request')
  const describe = ({ method, path, body }: Seen) =>
    `${method} ${path.replace('/api/v4', '')} ${typeof body['state'] === 'string' ? body['state'] : ''}`.trim()
  return {
    url,
    seen,
    until,
    polls: () => seen.filter(isPoll),
    jobCalls: () => seen.filter(request => !isPoll(request)).map(describe),
  }
}

async function start(t: Test, options: Partial<SimulatedRunnerOptions> & { gitlabUrl: string }) {
  const identity = { tokens: [TOKEN], name: 'pod-1', systemId: 'r_abcdefghijkl' }
  const runner = await startRunner({ ...identity, checkIntervalMs: 20, ...options })
  t.teardown(() => runner.stop('abort'))
  const metrics = async () => (await fetch(runner.metricsUrl)).text()
  const metricsUntil = async (condition: (text: string) => boolean) => {
    let text = await metrics()
    while (!condition(text)) text = await metrics()
    return text
  }
  return { ...runner, metrics, metricsUntil }
}

function job(id: number, durationMs: number, more: Record<string, string> = {}): string {
  const variables = { SIMULATED_DURATION_MS: String(durationMs), ...more }
  return JSON.stringify({
    id,
    token: `job-token-${id}`,
    job_info: {
      time_in_queue_seconds: 4,
      queue_size: 3,
      queue_depth: 1,
      project_jobs_running_on_instance_runners_count: '0',
    },
    variables: Object.entries(variables).map(([key, value]) => ({ key, value })),
  })
}

t.test('it asks for jobs as a runner manager does, and remembers what GitLab said last', async t => {
  const gitlab = await startScriptedGitLab(t, (_request, response) => {
    response.writeHead(204, { 'x-gitlab-last-update': 'cursor-1' }).end()
  })
  const { metrics } = await start(t, { gitlabUrl: `${gitlab.url}/api/v4/` })
  await gitlab.until(() => gitlab.polls().length >= 3)
  const [first, second] = gitlab.polls()
  t.match(first, {
    method: 'POST',
    path: '/api/v4/jobs/request',
    headers: { 'user-agent': /^gitlab-runner 19/ },
    body: { token: TOKEN, system_id: 'r_abcdefghijkl', last_update: '', info: { name: 'pod-1', version: /^19/ } },
  })
  t.match(second, { body: { last_update: 'cursor-1' } })
  const text = await metrics()
  t.match(text, 'gitlab_runner_concurrent 10\n')
  t.match(text, `gitlab_runner_limit{${LABELS}} 0\n`)
  t.match(text, 'gitlab_runner_process_state_info{state="running"} 1\n')
  t.match(text, /gitlab_runner_version_info\{name="gitlab-runner",version="19/)
  t.match(
    text,
    /gitlab_runner_api_request_statuses_total\{runner="abcdefghi",system_id="r_abcdefghijkl",endpoint="request_job",method="post",status="204"\} [2-9]/,
  )
  t.notMatch(text, 'gitlab_runner_jobs{', 'no job runs, so there is no series')
  t.notMatch(text, 'gitlab_runner_jobs_total{')
  t.notMatch(text, TOKEN)
})

t.test('it plays the job it gets and reports trace and result', async t => {
  const gitlab = await startScriptedGitLab(t, ({ path, method }, response) => {
    if (path.endsWith('/jobs/request')) {
      const first = gitlab.polls().length === 1
      response.writeHead(first ? 201 : 204).end(first ? job(7, 1_000) : undefined)
    } else response.writeHead(method === 'PATCH' ? 202 : 200, { 'job-status': 'running' }).end()
  })
  const { metricsUntil } = await start(t, { gitlabUrl: gitlab.url })
  const series = `gitlab_runner_jobs{${LABELS},state="running",stage="step_script",executor_stage="prepare"} 1\n`
  await metricsUntil(text => text.includes(series))
  await gitlab.until(() => gitlab.jobCalls().includes('PUT /jobs/7 success'))
  t.strictSame(gitlab.jobCalls(), [
    'PUT /jobs/7 running',
    'PATCH /jobs/7/trace',
    'PATCH /jobs/7/trace',
    'PUT /jobs/7 success',
  ])

  const [patch, secondPatch] = gitlab.seen.filter(({ method }) => method === 'PATCH')
  const bytes = patch?.text.length ?? 0
  t.match(patch?.headers, { 'job-token': 'job-token-7', 'content-range': `0-${bytes - 1}` })
  t.match(secondPatch?.headers, { 'content-range': new RegExp(`^${bytes}-`) })

  const text = await metricsUntil(text => !text.includes('gitlab_runner_jobs{'))
  t.match(text, `gitlab_runner_jobs_total{${LABELS}} 1\n`)
  t.match(text, `gitlab_runner_job_duration_seconds_count{${LABELS},mode="traditional"} 1\n`)
  t.match(text, `gitlab_runner_job_queue_size{${LABELS}} 3\n`)
})

t.test('a job that is to fail is reported and counted with its reason', async t => {
  const gitlab = await startScriptedGitLab(t, ({ path }, response) => {
    const poll = path.endsWith('/jobs/request')
    const first = poll && gitlab.polls().length === 1
    if (first) response.writeHead(201).end(job(8, 0, { SIMULATED_FAILURE: 'script_failure' }))
    else response.writeHead(poll ? 204 : 200).end()
  })
  const { metricsUntil } = await start(t, { gitlabUrl: gitlab.url })
  await gitlab.until(() => gitlab.jobCalls().includes('PUT /jobs/8 failed'))
  t.equal(gitlab.seen.find(({ body }) => body['state'] === 'failed')?.body['failure_reason'], 'script_failure')
  const text = await metricsUntil(text => text.includes('gitlab_runner_failed_jobs_total{'))
  t.match(text, `gitlab_runner_failed_jobs_total{${LABELS},failure_reason="script_failure",mode="traditional"} 1\n`)
})

t.test('a job that GitLab takes back is dropped without another word', async t => {
  const gitlab = await startScriptedGitLab(t, ({ path, method }, response) => {
    const poll = path.endsWith('/jobs/request')
    if (poll && gitlab.polls().length === 1) response.writeHead(201).end(job(9, 60_000))
    else response.writeHead(poll ? 204 : method === 'PATCH' ? 403 : 200).end()
  })
  const { metricsUntil } = await start(t, { gitlabUrl: gitlab.url })
  await gitlab.until(() => gitlab.jobCalls().includes('PATCH /jobs/9/trace'))
  await metricsUntil(text => !text.includes('gitlab_runner_jobs{'))
  const polls = gitlab.polls().length
  await gitlab.until(() => gitlab.polls().length > polls + 2)
  t.strictSame(gitlab.jobCalls(), ['PUT /jobs/9 running', 'PATCH /jobs/9/trace'])
})

t.test('a full runner stops asking until a job ends', async t => {
  for (const full of [{ concurrent: 2 }, { concurrent: 5, limit: 2 }]) {
    await t.test(`full by ${JSON.stringify(full)}`, async t => {
      let handedOut = 0
      let ended = 0
      let most = 0
      const gitlab = await startScriptedGitLab(t, ({ path, body }, response) => {
        if (path.endsWith('/jobs/request')) {
          handedOut++
          most = Math.max(most, handedOut - ended)
          response.writeHead(201).end(job(handedOut, 100))
        } else {
          if (body['state'] === 'success') ended++
          response.writeHead(200).end()
        }
      })
      const { metricsUntil } = await start(t, { gitlabUrl: gitlab.url, ...full })
      await metricsUntil(text => /gitlab_runner_jobs\{.*\} 2\n/.test(text))
      await gitlab.until(() => handedOut >= 6)
      t.equal(most, 2)
    })
  }
})

t.test('after three refusals in a row it does not ask for the time of the breaker', async t => {
  const gitlab = await startScriptedGitLab(t, (_request, response) => response.writeHead(403).end())
  const { metricsUntil } = await start(t, { gitlabUrl: gitlab.url, breakerMs: 600 })
  await gitlab.until(() => gitlab.polls().length === 3)
  const text = await metricsUntil(text => /worker_feed_failures_total\{.*\} [3-9]/.test(text))
  t.equal(gitlab.polls().length, 3)
  t.match(text, `gitlab_runner_worker_health_check_failures_total{${LABELS}} 3\n`)
  await gitlab.until(() => gitlab.polls().length === 4)
})

t.test('server errors do not trip the breaker, and missing answers do', async t => {
  const failing = await startScriptedGitLab(t, (_request, response) => response.writeHead(502).end())
  const first = await start(t, { gitlabUrl: failing.url })
  await failing.until(() => failing.polls().length === 6)
  t.notMatch(await first.metrics(), 'gitlab_runner_worker_health_check_failures_total{')

  const second = await start(t, { gitlabUrl: 'http://127.0.0.1:1' })
  const tripped = `gitlab_runner_worker_health_check_failures_total{${LABELS}} 3\n`
  const text = await second.metricsUntil(text => text.includes(tripped))
  t.notMatch(text, 'gitlab_runner_api_request_statuses_total{', 'a request without an answer has no status')
})

t.test('the breaker counts from the last healthy answer, as in GitLab Runner', t => {
  const health = createHealth(1_000, 0)
  health.mark(true, 500)
  for (const now of [600, 700, 800]) {
    t.ok(health.isHealthy(now))
    health.mark(false, now)
  }
  t.notOk(health.isHealthy(1_500))
  t.ok(health.isHealthy(1_501), 'a new trial')
  for (const now of [1_502, 1_503, 1_504]) health.mark(false, now)
  t.notOk(health.isHealthy(2_501))
  t.ok(health.isHealthy(2_502))
  for (const healthy of [false, false, true, false, false]) health.mark(healthy, 2_503)
  t.ok(health.isHealthy(2_504), 'a healthy answer forgets the failures before it')
  t.end()
})

t.test('each section of a process has its own requests, short token and breaker', async t => {
  const other = 'glrt-t2_zyxwvutsrqponmlk'
  const gitlab = await startScriptedGitLab(t, ({ body }, response) => {
    response.writeHead(body['token'] === TOKEN ? 403 : 204).end()
  })
  const runner = await start(t, { gitlabUrl: gitlab.url, tokens: [TOKEN, other] })
  t.strictSame(runner.shortTokens, ['abcdefghi', 'zyxwvutsr'])
  const pollsOf = (token: string) => gitlab.polls().filter(({ body }) => body['token'] === token).length
  await gitlab.until(() => pollsOf(other) === 8)
  t.equal(pollsOf(TOKEN), 3)
})

t.test('a graceful stop ends a held request, takes nothing more and finishes the job', async t => {
  const gitlab = await startScriptedGitLab(t, ({ path }, response) => {
    // Every request for a job but the first is held for ever, as by a long poll.
    if (!path.endsWith('/jobs/request')) response.writeHead(200).end()
    else if (gitlab.polls().length === 1) response.writeHead(201).end(job(1, 400))
  })
  const runner = await start(t, { gitlabUrl: gitlab.url })
  await gitlab.until(() => gitlab.polls().length === 2)
  const stopped = runner.stop('graceful')
  t.match(await runner.metrics(), 'gitlab_runner_process_state_info{state="graceful-shutdown"} 1\n')
  await stopped
  t.equal(gitlab.jobCalls().at(-1), 'PUT /jobs/1 success')
  t.equal(gitlab.polls().length, 2)
  await t.rejects(runner.metrics(), 'the metrics are gone')
})

t.test('an abort fails the running job, also after a graceful stop began', async t => {
  const gitlab = await startScriptedGitLab(t, ({ path }, response) => {
    const poll = path.endsWith('/jobs/request')
    if (poll && gitlab.polls().length === 1) response.writeHead(201).end(job(1, 60_000))
    else response.writeHead(poll ? 204 : 200).end()
  })
  const runner = await start(t, { gitlabUrl: gitlab.url })
  await gitlab.until(() => gitlab.jobCalls().length === 2)
  await Promise.all([runner.stop('graceful'), runner.stop('abort')])
  const last = gitlab.seen.filter(({ body }) => body['state'] !== undefined).at(-1)
  t.match(last, { path: '/api/v4/jobs/1', body: { state: 'failed', failure_reason: 'runner_system_failure' } })
})

t.test('time can pass faster: an hour-long job and a three-second interval fit into a test', async t => {
  const gitlab = await startScriptedGitLab(t, ({ path }, response) => {
    const poll = path.endsWith('/jobs/request')
    if (poll && gitlab.polls().length === 1) response.writeHead(201).end(job(1, 3_600_000))
    else response.writeHead(poll ? 204 : 200).end()
  })
  const { metricsUntil } = await start(t, { gitlabUrl: gitlab.url, checkIntervalMs: 3_000, timeScale: 1 / 18_000 })
  const text = await metricsUntil(text => text.includes('job_duration_seconds_count'))
  const seconds = Number(/job_duration_seconds_sum\{.*\} (\S+)/.exec(text)?.[1])
  t.ok(seconds >= 3_600, `${seconds} s`)
})

t.test('tokens are shortened as GitLab Runner shortens them', t => {
  t.equal(shorten('glrt-0123456789abcdef'), '012345678')
  t.equal(shorten('glrt-t1_0123456789abcdef'), '012345678')
  t.equal(shorten('t2_0123456789abcdef'), '012345678')
  t.equal(shorten('0123456789abcdefghij'), '01234567')
  t.end()
})

t.test('as a process it serves its metrics and ends on SIGQUIT with exit code 0', async t => {
  const gitlab = await startScriptedGitLab(t, (_request, response) => response.writeHead(204).end())
  const flags = ['--gitlab-url', gitlab.url, '--token', TOKEN, '--listen', '127.0.0.1:0', '--no-long-poll']
  const child = spawn(process.execPath, ['--import=tsx', 'simulator/runner/main.ts', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  let output = ''
  const said = new Promise<string>(resolve => {
    child.stdout.on('data', chunk => {
      output += String(chunk)
      const url = /"metricsUrl":"([^"]+)"/.exec(output)?.[1]
      if (url !== undefined) resolve(url)
    })
  })
  await gitlab.until(() => gitlab.polls().length === 1)
  t.notOk('last_update' in (gitlab.polls()[0]?.body ?? {}))
  t.match(await (await fetch(await said)).text(), 'gitlab_runner_concurrent 10\n')
  child.kill('SIGQUIT')
  t.strictSame(await exited, [0, null])
  t.notMatch(output, TOKEN)
})
