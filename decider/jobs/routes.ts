import type { OpsAnswer, OpsRoute } from '../../lib/service/ops-server.ts'
import type { JobDesk } from './desk.ts'
import type { JobMetrics } from './document.ts'
import type { JobVerifier } from './identity.ts'
import type { JobsMetrics, STATUSES } from './metrics.ts'
import { openMetricsOf } from './openmetrics.ts'
import { jobPage } from './page.ts'
import type { JobStore } from './store.ts'
import type { JobWatch } from './watch.ts'

export interface JobRoutesDeps {
  cluster: string
  store: JobStore
  desk: Pick<JobDesk, 'live' | 'waiting'>
  watch: Pick<JobWatch, 'running'>
  verify: JobVerifier
  /** Whether the page is served. */
  page: boolean
  metrics: JobsMetrics
  wallMs: () => number
}

type Status = (typeof STATUSES)[number]
type Format = 'json' | 'openmetrics'

const FORMATS: Readonly<Record<Format, { contentType: string; write: (metrics: JobMetrics) => string }>> = {
  json: { contentType: 'application/json; charset=utf-8', write: metrics => `${JSON.stringify(metrics)}\n` },
  openmetrics: {
    contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
    write: openMetricsOf,
  },
}

/** Jobs must not keep the connections that probes and scrapers need. */
const CLOSE = { connection: 'close' }
const RETRY_SECONDS = '10'

/**
 * `/jobs/<id>/metrics` for the job itself, which shows its id_token, and `/jobs/<id>`, the page for people. A job that
 * still runs, as it does while its `after_script` asks, gets what there is up to now, marked as partial.
 */
export function jobRoutes(deps: JobRoutesDeps): Record<string, OpsRoute> {
  const { store, desk, watch, verify, metrics } = deps

  function refuse(status: Exclude<Status, 200>, message: string, headers: Record<string, string> = {}): OpsAnswer {
    metrics.request(status)
    const body = `${JSON.stringify({ error: ERRORS[status], message })}\n`
    return { status, body, contentType: 'application/json; charset=utf-8', headers: { ...CLOSE, ...headers } }
  }

  async function find(jobId: number): Promise<JobMetrics | 'busy' | undefined> {
    const kept = await store.get(jobId)
    if (kept) return kept
    const pod = watch.running(jobId)
    const known = pod ? { pod, endMs: deps.wallMs() } : desk.waiting(jobId)
    if (!known) return undefined
    const result = await desk.live(known.pod, known.endMs)
    return result.kind === 'metrics' ? result.metrics : 'busy'
  }

  async function answer(jobId: number, wanted: string | null, accept: string, authorization: string | undefined) {
    const format = wanted ?? preferred(accept)
    if (format !== 'json' && format !== 'openmetrics') return refuse(400, 'format must be json or openmetrics')
    const verdict = await verify(authorization)
    if (verdict.kind === 'unavailable') return refuse(503, verdict.why, { 'retry-after': RETRY_SECONDS })
    if (verdict.kind === 'refused') return refuse(401, verdict.why, { 'www-authenticate': 'Bearer' })
    if (verdict.jobId !== jobId) {
      return refuse(403, `the token is that of job ${verdict.jobId}: a job reads its own metrics only`)
    }
    const found = await find(jobId)
    if (found === 'busy') {
      return refuse(503, 'too much is asked at once, or Prometheus is slow; try again', {
        'retry-after': RETRY_SECONDS,
      })
    }
    if (!found) {
      const why = `cluster ${deps.cluster} knows no pod of job ${jobId}: it ran elsewhere, or too long ago`
      return refuse(404, why)
    }
    metrics.request(200)
    const { contentType, write } = FORMATS[format]
    return { status: 200, body: write(found), contentType, headers: { ...CLOSE, vary: 'accept' } }
  }

  async function page(jobId: number): Promise<OpsAnswer> {
    const kept = deps.page ? await store.get(jobId) : undefined
    if (!kept) return refuse(404, deps.page ? `no metrics of job ${jobId} are kept` : 'nothing here')
    metrics.request(200)
    const { headers, ...rest } = jobPage(kept)
    return { ...rest, headers: { ...CLOSE, ...headers } }
  }

  return {
    '/jobs/*': (query, { path, headers }) => {
      const [, id = '', rest] = /^\/jobs\/([1-9]\d{0,15})(\/metrics)?$/.exec(path) ?? []
      if (id === '') return refuse(404, 'nothing here; try /jobs/<id>/metrics')
      if (rest === undefined) return page(Number(id))
      return answer(Number(id), query.get('format'), headers.accept ?? '', headers.authorization)
    },
  }
}

const ERRORS: Readonly<Record<Exclude<Status, 200>, string>> = {
  400: 'bad_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  503: 'unavailable',
}

/** JSON, unless the text is asked for with more weight. */
function preferred(accept: string): Format {
  const weights = accept.split(',').map(range => {
    const [type = '', ...parameters] = range.split(';').map(part => part.trim().toLowerCase())
    const weight = Number(parameters.find(parameter => parameter.startsWith('q='))?.slice(2) ?? 1)
    return { type, weight }
  })
  const of = (types: readonly string[]) =>
    Math.max(0, ...weights.filter(({ type }) => types.includes(type)).map(({ weight }) => weight))
  return of(['application/openmetrics-text', 'text/plain']) > of(['application/json']) ? 'openmetrics' : 'json'
}
