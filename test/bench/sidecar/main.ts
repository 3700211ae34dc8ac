import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { freePorts } from '../../../cli/demo/process.ts'
import { systemClock } from '../../../lib/service/clock.ts'
import type { PartOptions } from '../options.ts'
import { startMeasured, untilReady, type Memory } from '../process.ts'
import type { Figure, Findings, Plot, Table } from '../record.ts'
import { median, percentile } from '../statistics.ts'
import { FLEETS, measureTalk, type Talk } from './talk.ts'
import { startScene } from './scene.ts'

const FIRST_METRICS_MS = 120
const ANONYMOUS_START_MIB = 14
const ANONYMOUS_LATER_MIB = 20
const SCRAPE_P99_MS = 2
const REQUESTS_PER_MINUTE = 2
/** Bytes that do not depend on the fleet: the longer numbers of a larger one are no dependence. */
const SAME_BYTES = 1.1
const SETTLE_MS = 2500
const FIRST_SCRAPES = 30

interface Body {
  startMs: number
  start: Memory
  later: Memory
  scrapeP50Ms: number
  scrapeP99Ms: number
}

/** The sidecar beside the least that a process can be, and beside what it replaces. */
export async function measureSidecar(options: PartOptions): Promise<Findings> {
  const { say } = options
  const starts = await measureStarts(options)
  say(
    `first metrics after ${starts.sidecar.startMs.toFixed(0)} ms, a bare process ${starts.bare.startMs.toFixed(0)} ms`,
  )
  const minutes = options.durations.timeScale === 1 ? 8 : 2
  const talks: Talk[] = []
  for (const fleet of FLEETS) {
    const talk = await measureTalk(fleet, minutes, options)
    talks.push(talk)
    say(
      `fleet of ${fleet}: ${talk.requestsPerMinute.toFixed(1)} requests, ${talk.bytesPerMinute.toFixed(0)} bytes a minute`,
    )
  }
  return {
    figures: [...bodyFigures(starts, options.durations.scrapes), ...talkFigures(talks)],
    tables: [bodyTable(starts, options.durations.scrapes), talkTable(talks)],
    plots: [talkPlot(talks)],
  }
}

async function measureStarts(options: PartOptions): Promise<{ sidecar: Body; bare: Body }> {
  const { programs, folder, durations } = options
  const scene = await startScene({ programs, folder, fleet: 10, timeScale: 1 })
  const [port = 0] = await freePorts(1)
  const bareUrl = `http://127.0.0.1:${port}/metrics`
  const startBare = async () => {
    const startMs = performance.now()
    const program = startMeasured({
      name: 'bare process',
      args: [join(programs, 'bare.cjs')],
      env: { PORT: String(port) },
      logFile: join(folder, 'bare.log'),
    })
    await untilReady(program, async () => (await fetch(bareUrl)).ok)
    return { program, ms: performance.now() - startMs }
  }
  try {
    const times: { sidecar: number[]; bare: number[] } = { sidecar: [], bare: [] }
    let bare = await startBare()
    for (let turn = 0; turn < durations.starts; turn++) {
      times.sidecar.push(await scene.restart())
      await bare.program.stop()
      bare = await startBare()
      times.bare.push(bare.ms)
    }
    const observe = async (program: { memory(): Memory }, url: string, startMs: number): Promise<Body> => {
      await scrapeMany(url, FIRST_SCRAPES)
      await systemClock.sleep(SETTLE_MS)
      const start = program.memory()
      const taken = await scrapeMany(url, durations.scrapes)
      return {
        startMs,
        start,
        later: program.memory(),
        scrapeP50Ms: percentile(taken, 0.5),
        scrapeP99Ms: percentile(taken, 0.99),
      }
    }
    const result = {
      sidecar: await observe(scene.sidecar, scene.url, median(times.sidecar)),
      bare: await observe(bare.program, bareUrl, median(times.bare)),
    }
    await bare.program.stop()
    return result
  } finally {
    await scene.stop()
  }
}

/** One scrape after the other over one connection, as a Prometheus does; sorted milliseconds. */
async function scrapeMany(url: string, count: number): Promise<Float64Array> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const taken = new Float64Array(count)
  for (let index = 0; index < count; index++) {
    const startMs = performance.now()
    await new Promise<void>((resolve, reject) => {
      request(url, { agent }, response => {
        response.resume()
        response.once('end', () => (response.statusCode === 200 ? resolve() : reject(new Error('a scrape failed'))))
      })
        .once('error', reject)
        .end()
    })
    taken[index] = performance.now() - startMs
  }
  agent.destroy()
  return taken.sort()
}

function bodyFigures({ sidecar, bare }: { sidecar: Body; bare: Body }, scrapes: number): Figure[] {
  const figure = (
    what: string,
    value: (body: Body) => number,
    limit: number,
    unit: string,
    digits: number,
  ): Figure => ({
    what: `sidecar: ${what}`,
    measured: `${value(sidecar).toFixed(digits)} ${unit}`,
    beside: `bare process ${value(bare).toFixed(digits)} ${unit}`,
    target: `≤ ${limit} ${unit}`,
    reached: value(sidecar) <= limit,
    cause: `a bare process takes ${value(bare).toFixed(digits)} ${unit} itself; the rest is the sidecar’s`,
  })
  return [
    figure('start to first metrics', body => body.startMs, FIRST_METRICS_MS, 'ms', 0),
    figure('anonymous memory at start', body => body.start.anonymousMiB, ANONYMOUS_START_MIB, 'MiB', 1),
    figure(
      `anonymous memory after ${scrapes.toLocaleString('en')} scrapes`,
      body => body.later.anonymousMiB,
      ANONYMOUS_LATER_MIB,
      'MiB',
      1,
    ),
    figure('scrape p99', body => body.scrapeP99Ms, SCRAPE_P99_MS, 'ms', 2),
  ]
}

function talkFigures(talks: readonly Talk[]): Figure[] {
  const bytes = talks.map(({ bytesPerMinute }) => bytesPerMinute)
  const most = Math.max(...talks.map(({ requestsPerMinute }) => requestsPerMinute))
  const last = talks.at(-1)
  const spread = Math.max(...bytes) / Math.min(...bytes)
  return [
    {
      what: 'sidecar: GitLab requests per minute and pod',
      measured: most.toFixed(1),
      beside: `original's polling ${last?.listingRequestsPerMinute.toFixed(0) ?? '?'} (fleet of ${last?.fleet ?? '?'})`,
      target: `≤ ${REQUESTS_PER_MINUTE}`,
      reached: most <= REQUESTS_PER_MINUTE,
    },
    {
      what: `sidecar: bytes per minute and pod, fleets of ${talks.map(({ fleet }) => fleet).join(', ')}`,
      measured: bytes.map(value => value.toFixed(0)).join(', '),
      beside: `original's polling ${talks.map(talk => talk.listingBytesPerMinute.toFixed(0)).join(', ')}`,
      target: 'independent of the fleet',
      reached: spread <= SAME_BYTES,
    },
    {
      what: 'sidecar: processor time per hour',
      measured: `${Math.max(...talks.map(({ cpuSecondsPerHour }) => cpuSecondsPerHour)).toFixed(1)} s`,
    },
  ]
}

function bodyTable({ sidecar, bare }: { sidecar: Body; bare: Body }, scrapes: number): Table {
  const row = (name: string, { startMs, start, later, scrapeP50Ms, scrapeP99Ms }: Body) => [
    name,
    `${startMs.toFixed(0)} ms`,
    `${start.residentMiB.toFixed(1)} / ${start.anonymousMiB.toFixed(1)}`,
    `${later.residentMiB.toFixed(1)} / ${later.anonymousMiB.toFixed(1)}`,
    `${scrapeP50Ms.toFixed(2)} / ${scrapeP99Ms.toFixed(2)}`,
  ]
  return {
    title: 'Start, memory (resident / anonymous in MiB), scrapes (p50 / p99 in milliseconds)',
    head: [
      'process',
      'first metrics',
      'memory at start',
      `memory after ${scrapes.toLocaleString('en')} scrapes`,
      'scrape',
    ],
    rows: [row('sidecar', sidecar), row('bare `node:http`', bare)],
  }
}

function talkTable(talks: readonly Talk[]): Table {
  return {
    title: "What one pod asks of GitLab in a minute, and the original's twelve full lists",
    head: ['fleet', 'requests', 'bytes', 'original: requests', 'original: bytes', 'processor s/h', 'anonymous MiB'],
    rows: talks.map(talk => [
      String(talk.fleet),
      talk.requestsPerMinute.toFixed(1),
      talk.bytesPerMinute.toFixed(0),
      talk.listingRequestsPerMinute.toFixed(0),
      talk.listingBytesPerMinute.toFixed(0),
      talk.cpuSecondsPerHour.toFixed(1),
      talk.anonymousMiB.toFixed(1),
    ]),
  }
}

function talkPlot(talks: readonly Talk[]): Plot {
  return {
    name: 'sidecar-bytes',
    title: 'What one pod exchanges with GitLab in a minute',
    x: 'runners in the group',
    y: 'bytes per minute',
    lines: [
      { name: 'sidecar', points: talks.map(talk => [talk.fleet, talk.bytesPerMinute] as const) },
      { name: "original's polling", points: talks.map(talk => [talk.fleet, talk.listingBytesPerMinute] as const) },
    ],
  }
}
