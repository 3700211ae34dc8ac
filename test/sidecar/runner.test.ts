import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createNodeTransport } from '../../lib/http/node-transport.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { readRunner, type RunnerReading } from '../../sidecar/runner.ts'
import { startServer } from '../lib/gitlab-server.ts'
import { RunnerDouble } from './runner-double.ts'

function reader(t: Test, url: string) {
  const transport = createNodeTransport({ maxSockets: 1 })
  t.teardown(() => transport.close())
  return (signal?: AbortSignal) => readRunner({ transport, clock: systemClock, url }, signal)
}

async function readingOf(t: Test, answer: (response: http.ServerResponse) => void): Promise<RunnerReading> {
  const { url } = await startServer(t, (_request, response) => answer(response))
  return reader(t, `${url}/metrics`)()
}

t.test('the metrics of a runner are gathered by entry', async t => {
  const runner = new RunnerDouble()
  Object.assign(runner.add('bbbbbbbbb'), { limit: 4, running: 3, good: 20, refused: 2, unhealthy: 1 })
  Object.assign(runner.add('aaaaaaaaa'), { running: 7, good: 5 })
  const reading = await readingOf(t, response => response.end(runner.text()))
  const systemId = 'r_AAAAAAAAAAAA'
  t.same(reading, {
    state: 'answering',
    sample: {
      process: 'running',
      processFull: true,
      entries: [
        { shortToken: 'aaaaaaaaa', systemId, running: 7, counters: { good: 5, refused: 0, unhealthy: 0 } },
        { shortToken: 'bbbbbbbbb', systemId, running: 3, limit: 4, counters: { good: 20, refused: 2, unhealthy: 1 } },
      ],
    },
  })
})

t.test('both answers to a job request that GitLab serves count, and no other request', async t => {
  const line = (endpoint: string, status: number, value: number) =>
    `gitlab_runner_api_request_statuses_total{runner="a",system_id="s",endpoint="${endpoint}",status="${status}"} ${value}\n`
  const text = [
    line('request_job', 201, 3),
    line('request_job', 204, 40),
    line('request_job', 500, 500),
    line('request_job', 409, 600),
    line('patch_trace', 202, 700),
    line('patch_trace', 403, 800),
    'gitlab_runner_worker_feed_failures_total{runner="a",system_id="s"} 5\n',
    'gitlab_runner_worker_health_check_failures_total{runner="a",system_id="s"} 3\n',
  ].join('')
  const reading = await readingOf(t, response => response.end(text))
  t.match(reading, { sample: { entries: [{ counters: { good: 43, refused: 0, unhealthy: 8 } }] } })
})

t.test('an old runner tells neither its state nor a system id with each series', async t => {
  const text = [
    'gitlab_runner_concurrent 1',
    'gitlab_runner_jobs{runner="a",state="running"} 1',
    'gitlab_runner_limit{runner="a",system_id="r_1"} 0',
    'gitlab_runner_concurrent NaN',
    '',
  ].join('\n')
  const reading = await readingOf(t, response => response.end(text))
  t.same(reading, {
    state: 'answering',
    sample: {
      processFull: true,
      entries: [{ shortToken: 'a', systemId: 'r_1', running: 1, counters: { good: 0, refused: 0, unhealthy: 0 } }],
    },
  })
})

t.test('something else than a runner is foreign', async t => {
  t.match(await readingOf(t, response => response.writeHead(404).end()), { state: 'foreign', problem: /404/ })
  t.match(await readingOf(t, response => response.end('up 1\n')), { state: 'foreign', problem: /no metrics/ })
  t.match(await readingOf(t, response => response.end('gitlab_runner_concurrent 1')), {
    state: 'foreign',
    problem: /line 1: .*middle of a line/,
  })
})

t.test('an endless answer is not read to its end', async t => {
  const reading = await readingOf(t, response => {
    const chunk = '# a comment of a kilobyte\n'.padEnd(1024, 'x').repeat(64)
    const more = () => {
      while (!response.destroyed && response.write(chunk));
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  })
  t.match(reading, { state: 'silent', problem: /8388608/ })
})

t.test('a closed port is refused', async t => {
  const server = http.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  t.match(await reader(t, `http://127.0.0.1:${port}/metrics`)(), { state: 'refused' })
})

t.test('an answer that drips is silence after two seconds', async t => {
  const { url } = await startServer(t, (_request, response) => {
    const drip = setInterval(() => response.write('#'), 100)
    response.on('close', () => clearInterval(drip))
  })
  const startedMs = performance.now()
  t.match(await reader(t, url)(), { state: 'silent', problem: /2000 ms/ })
  t.ok(performance.now() - startedMs < 5_000)
})

t.test('a look that is called off rejects', async t => {
  const { url } = await startServer(t, () => undefined)
  const called = new AbortController()
  const reading = reader(t, url)(called.signal)
  called.abort(new Error('enough'))
  await t.rejects(reading, /enough/)
})
