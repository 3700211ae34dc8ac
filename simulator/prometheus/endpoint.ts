import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import type { HttpTransport } from '../../lib/http/transport.ts'
import { withDeadline, type Clock } from '../../lib/service/clock.ts'
import { readExposition } from './exposition.ts'

export interface ScrapeTarget {
  /** Prometheus's label `job`. */
  job: string
  /** The whole URL of the metrics; its host is the label `instance`. */
  url: string
}

export interface PrometheusEndpointOptions {
  clock: Clock
  transport: HttpTransport
  /** Asked before each round of scrapes: what is not in it any more is forgotten at once. */
  targets: () => readonly ScrapeTarget[]
  scrapeIntervalMs: number
}

export interface PrometheusEndpoint {
  /** `http://127.0.0.1:PORT` */
  url: string
  close(): Promise<void>
}

type Labels = Readonly<Record<string, string>>

/** What the newest scrape of one target came to. */
interface Scrape {
  target: Labels
  atMs: number
  up: boolean
  series: readonly { labels: Labels; value: number }[]
}

const AVAILABLE = 'gitlab_runner_hadr_sidecar_available'
const INFO = 'gitlab_runner_hadr_sidecar_runner_info'
const UP_JOB = '(.*/)?gitlab-runner-hadr'
const UP = `up{job=~"${UP_JOB}"}`
/** Of a fleet's query, by their kind. */
const FLEET = {
  info: INFO,
  told: 'gitlab_runner_hadr_sidecar_running_jobs',
  jobs: 'gitlab_runner_jobs',
  limit: 'gitlab_runner_limit',
  concurrent: 'gitlab_runner_concurrent',
}
const KEPT = new Set([AVAILABLE, ...Object.values(FLEET)])
const MAX_SCRAPE_BYTES = 8 * 1024 * 1024

/**
 * The parts of the queries that are understood, each with what it selects; they are joined by `or` in any order. PromQL
 * would be a program of its own, so every other query is refused as Prometheus refuses what it cannot execute.
 */
const PARTS: Readonly<Record<string, (scrapes: readonly Scrape[]) => { labels: Labels; value: number }[]>> = {
  [labelled(AVAILABLE, 'available')]: scrapes => select(scrapes, AVAILABLE, 'available'),
  [labelled(`timestamp(${AVAILABLE})`, 'available_at')]: scrapes => selectTimes(scrapes, AVAILABLE, 'available_at'),
  [labelled(INFO, 'info')]: scrapes => select(scrapes, INFO, 'info'),
  [labelled(`timestamp(${INFO})`, 'info_at')]: scrapes => selectTimes(scrapes, INFO, 'info_at'),
  [labelled(UP, 'up')]: scrapes =>
    targetsOf(scrapes).map(({ target, up }) => ({
      labels: { __name__: 'up', ...target, hadr_kind: 'up' },
      value: up ? 1 : 0,
    })),
  [labelled(`timestamp(${UP})`, 'up_at')]: scrapes =>
    targetsOf(scrapes).map(({ target, atMs }) => ({ labels: { ...target, hadr_kind: 'up_at' }, value: atMs / 1000 })),
}

/** The same for a fleet's query. */
const FLEET_PARTS: typeof PARTS = Object.fromEntries(
  Object.entries(FLEET).flatMap(([kind, name]) => [
    [labelled(name, kind), (scrapes: readonly Scrape[]) => select(scrapes, name, kind)],
    [
      labelled(`timestamp(${name})`, `${kind}_at`),
      (scrapes: readonly Scrape[]) => selectTimes(scrapes, name, `${kind}_at`),
    ],
  ]),
)

/**
 * Stands in for Prometheus where that is not installed, for the decider's queries alone: scrapes its targets at once and
 * then each interval, and answers `/api/v1/query`. As with Prometheus, the series of a target vanish with its first
 * failed scrape, and `up` turns 0.
 */
export async function startPrometheusEndpoint(options: PrometheusEndpointOptions): Promise<PrometheusEndpoint> {
  const { clock, transport, targets, scrapeIntervalMs } = options
  const stopping = new AbortController()
  let scrapes: readonly Scrape[] = []

  async function scrape({ job, url }: ScrapeTarget): Promise<Scrape> {
    const target = { job, instance: new URL(url).host }
    const atMs = clock.wallMs()
    const headers = { accept: 'text/plain; version=0.0.4' }
    try {
      const { status, body } = await withDeadline(
        clock,
        scrapeIntervalMs,
        signal => transport({ method: 'GET', url, headers, signal, maxResponseBytes: MAX_SCRAPE_BYTES }),
        stopping.signal,
      )
      if (status !== 200) return { target, atMs, up: false, series: [] }
      const series = readExposition(body)
        .filter(({ name }) => KEPT.has(name))
        .map(({ name, labels, value }) => ({ labels: { ...labels, ...target, __name__: name }, value }))
      return { target, atMs, up: true, series }
    } catch {
      return { target, atMs, up: false, series: [] }
    }
  }

  async function scrapeForEver(): Promise<void> {
    while (!stopping.signal.aborted) {
      const startMs = clock.monotonicMs()
      scrapes = await Promise.all(targets().map(scrape))
      const restMs = scrapeIntervalMs - (clock.monotonicMs() - startMs)
      await clock.sleep(Math.max(0, restMs), stopping.signal).catch(() => undefined)
    }
  }

  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    if (pathname !== '/api/v1/query') {
      response.writeHead(404).end()
      return
    }
    readText(request).then(
      body => {
        const query = new URLSearchParams(body).get('query') ?? searchParams.get('query') ?? ''
        answer(response, query, scrapes, clock.wallMs())
      },
      () => response.destroy(),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const scraping = scrapeForEver()

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      stopping.abort(new Error('the endpoint stops'))
      await scraping
      if (!server.listening) return
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function answer(response: ServerResponse, query: string, scrapes: readonly Scrape[], nowMs: number): void {
  const parts = new Set(query.split(/\sor\s/).map(normal))
  const known = [PARTS, FLEET_PARTS].find(
    each => parts.size === Object.keys(each).length && Object.keys(each).every(part => parts.has(part)),
  )
  const understood = known !== undefined
  const result = Object.values(known ?? {}).flatMap(selectPart => selectPart(scrapes))
  const content = understood
    ? {
        status: 'success',
        data: {
          resultType: 'vector',
          result: result.map(({ labels, value }) => ({ metric: labels, value: [nowMs / 1000, format(value)] })),
        },
      }
    : {
        status: 'error',
        errorType: 'execution',
        error: "this simulated Prometheus executes the decider's queries only",
      }
  response.writeHead(understood ? 200 : 422, { 'content-type': 'application/json' }).end(JSON.stringify(content))
}

function targetsOf(scrapes: readonly Scrape[]): readonly Scrape[] {
  const job = new RegExp(`^(?:${UP_JOB})$`)
  return scrapes.filter(({ target }) => job.test(target['job'] ?? ''))
}

function labelled(expression: string, kind: string): string {
  return normal(`label_replace(${expression}, "hadr_kind", "${kind}", "", "")`)
}

/** White space means nothing in the one query that is understood. */
function normal(text: string): string {
  return text.replace(/\s/g, '')
}

function select(scrapes: readonly Scrape[], name: string, kind: string) {
  return scrapes
    .flatMap(({ series }) => series)
    .filter(({ labels }) => labels['__name__'] === name)
    .map(({ labels, value }) => ({ labels: { ...labels, hadr_kind: kind }, value }))
}

/** `timestamp()` takes the name away. */
function selectTimes(scrapes: readonly Scrape[], name: string, kind: string) {
  return scrapes.flatMap(scrape =>
    select([scrape], name, kind).map(({ labels }) => ({
      labels: Object.fromEntries(Object.entries(labels).filter(([key]) => key !== '__name__')),
      value: scrape.atMs / 1000,
    })),
  )
}

function format(value: number): string {
  return Number.isFinite(value) || Number.isNaN(value) ? String(value) : value > 0 ? '+Inf' : '-Inf'
}
