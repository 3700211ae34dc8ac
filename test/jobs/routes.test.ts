import { Registry } from 'prom-client'
import t from 'tap'
import type { LiveResult } from '../../decider/jobs/desk.ts'
import type { Verdict } from '../../decider/jobs/identity.ts'
import { createJobsMetrics } from '../../decider/jobs/metrics.ts'
import { jobRoutes, type JobRoutesDeps } from '../../decider/jobs/routes.ts'
import type { StartedPod } from '../../decider/jobs/watch.ts'
import { documentOf } from './document.ts'

const POD = { job: { id: 42 } } as StartedPod

/** The routes over a store, a desk and a verifier that answer as told. */
function createScene(
  more: { kept?: boolean; live?: LiveResult; verdict?: Verdict; waiting?: boolean; page?: boolean } = {},
) {
  const asked: { endMs: number }[] = []
  const store: Pick<JobRoutesDeps['store'], 'get'> = {
    get: () => Promise.resolve(more.kept === true ? documentOf() : undefined),
  }
  const [route] = Object.values(
    jobRoutes({
      cluster: 'a',
      store: store as JobRoutesDeps['store'],
      desk: {
        live: (_pod, endMs) => {
          asked.push({ endMs })
          return Promise.resolve(more.live ?? { kind: 'busy' })
        },
        waiting: () => (more.waiting === true ? { pod: POD, endMs: 5000 } : undefined),
      },
      watch: { running: () => (more.live && more.waiting !== true ? POD : undefined) },
      verify: () => Promise.resolve(more.verdict ?? { kind: 'job', jobId: 42 }),
      page: more.page ?? false,
      metrics: createJobsMetrics(new Registry(), []),
      wallMs: () => 9000,
    }),
  )
  const ask = async (path = '/jobs/42/metrics', headers: Record<string, string> = {}) => {
    const [pathname = '', query = ''] = path.split('?')
    const answer = await route?.(new URLSearchParams(query), { path: pathname, headers })
    if (!answer) throw new Error('no route')
    t.equal(answer.headers?.['connection'], 'close', 'connections are for probes and scrapers')
    return answer
  }
  return { ask, asked }
}

t.test('what is kept is served as JSON or as text, as is asked for', async t => {
  const { ask } = createScene({ kept: true })
  const cases: [string, string, RegExp][] = [
    ['', '*/*', /json/],
    ['', 'application/json', /json/],
    ['', 'application/openmetrics-text; version=1.0.0', /openmetrics/],
    ['', 'text/plain, application/json;q=0.5', /openmetrics/],
    ['', 'text/plain;q=0.1, application/json', /json/],
    ['?format=openmetrics', 'application/json', /openmetrics/],
    ['?format=json', 'text/plain', /json/],
  ]
  for (const [query, accept, type] of cases) {
    const { status, contentType } = await ask(`/jobs/42/metrics${query}`, { accept })
    t.match({ status, contentType }, { status: 200, contentType: type }, `${query} ${accept}`)
  }
})

t.test('a job that runs is asked about now, one that waits to be collected until its end', async t => {
  const live = { kind: 'metrics', metrics: documentOf({ partial: true }) } as const
  const running = createScene({ live })
  t.match(await running.ask(), { status: 200, body: /"partial":true/ })
  t.strictSame(running.asked, [{ endMs: 9000 }])
  const waiting = createScene({ live, waiting: true })
  t.match(await waiting.ask(), { status: 200 })
  t.strictSame(waiting.asked, [{ endMs: 5000 }])
})

t.test('what cannot be answered says why and what to do', async t => {
  t.match(await createScene().ask(), { status: 404, body: /cluster a knows no pod of job 42/ })
  t.match(await createScene({ live: { kind: 'busy' } }).ask(), { status: 503, headers: { 'retry-after': '10' } })
  const unavailable = createScene({ kept: true, verdict: { kind: 'unavailable', why: 'no keys' } })
  t.match(await unavailable.ask(), { status: 503, headers: { 'retry-after': '10' }, body: /no keys/ })
  const stranger = createScene({ kept: true, verdict: { kind: 'job', jobId: 43 } })
  t.match(await stranger.ask(), { status: 403, body: /that of job 43/ })
  t.match(await createScene({ kept: true, verdict: { kind: 'refused', why: 'expired' } }).ask(), {
    status: 401,
    headers: { 'www-authenticate': 'Bearer' },
    body: /expired/,
  })
  for (const path of ['/jobs/', '/jobs/0/metrics', '/jobs/42/metrics/x', '/jobs/4e2/metrics', '/jobs/-1'])
    t.match(await createScene({ kept: true }).ask(path), { status: 404 }, path)
})

t.test('the page is off unless wanted, and shows what is kept only', async t => {
  t.match(await createScene({ kept: true }).ask('/jobs/42'), { status: 404 })
  t.match(await createScene({ page: true }).ask('/jobs/42'), { status: 404, body: /no metrics of job 42/ })
  t.match(await createScene({ kept: true, page: true }).ask('/jobs/42'), { status: 200, contentType: /html/ })
})
