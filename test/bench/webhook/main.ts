import { join } from 'node:path'
import type { PartOptions } from '../options.ts'
import type { Figure, Findings, Plot, Table } from '../record.ts'
import { reviewBodies, type Body } from './bodies.ts'
import { NAMES, startContest, type Name } from './contestants.ts'
import { startLoadGenerator } from './load/client.ts'
import { measureMemory, type MemorySample } from './memory.ts'
import { measurePaced, type Paced } from './pace.ts'
import { measureReady, type ReadyTimes } from './ready.ts'
import { checkAnswers, keepBody, measureThroughput, type Cell } from './throughput.ts'

/** The least share of the floor, and how many times the others' throughput. */
const OF_FLOOR = 0.8
const TIMES: Readonly<Partial<Record<Name, number>>> = { 'clone-and-diff': 3, pepr: 10 }
/** What profiles showed; the page tells more. */
const CAUSES: Readonly<Record<Name, string>> = {
  floor: 'the decision, its check and the log line cost more than parsing a small review does',
  webhook: '',
  'clone-and-diff': 'it writes no log line, counts nothing and checks no patch',
  pepr: 'TLS, HTTP and parsing, which both pay for, are a third of ours',
}
/** The heap cap bounds memory; this is its price. */
const CAUSE_LARGE = 'what it parses outlives the small young generation that bounds its memory'
/** The review that is larger than what the young generation holds. */
const LARGE = '1.4 MB'
const P99_MS = 2
const RESIDENT_MIB = 100
/** Growth from a tenth of the requests to all of them that still counts as flat: a collection more or less. */
const FLAT_MIB = 5
const READY_MS = { withSecretMs: 1000, withoutSecretMs: 3000 }

/** The webhook beside the floor of its kind and two others, over TLS, as processes. */
export async function measureWebhook(options: PartOptions): Promise<Findings> {
  const { durations, folder, programs, say } = options
  const bodies = reviewBodies()
  const [small, usual] = bodies as [Body, Body]
  const load = startLoadGenerator(join(programs, 'load-generator.cjs'))
  const contest = await startContest({ folder, programs, review: small.text, say })
  try {
    const measure = { contest, load, bodies, durations, folder, say }
    await checkAnswers(measure)
    const cells = await measureThroughput(measure)
    const paced = await measurePaced({ ...measure, bodies: [usual] })
    await contest.stop()
    // A fresh process, so that the bodies of more than a megabyte are not in the figure.
    const alone = await startContest({ folder, programs, review: small.text, say, names: [] })
    try {
      const [webhook] = alone.contestants
      if (webhook === undefined) throw new Error('the webhook does not run')
      const bodyFile = await keepBody(folder, usual)
      const memory = await measureMemory(webhook, { load, bodyFile, requests: durations.requests })
      say(`memory after ${durations.requests} requests: ${memory.at(-1)?.residentMiB.toFixed(0) ?? '?'} MiB`)
      const ready = await measureReady(options)
      return {
        figures: [
          ...cells.flatMap(throughputFigures),
          ...pacedFigures(paced),
          ...memoryFigures(memory),
          ...readyFigures(ready),
        ],
        tables: [throughputTable(cells), latencyTable(paced)],
        plots: [throughputPlot(cells, bodies), memoryPlot(memory)],
      }
    } finally {
      await alone.stop()
    }
  } finally {
    await contest.stop()
    await load.stop()
  }
}

function throughputFigures({ body, connections, servers }: Cell): Figure[] {
  const ours = servers.get('webhook')
  if (ours === undefined) return []
  const what = `webhook: requests per second, ${body}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`
  const measured = `${ours.perSecond.toFixed(0)}/s`
  return NAMES.flatMap(name => {
    const other = servers.get(name)
    if (name === 'webhook' || other === undefined) return []
    const ratio = ours.ofFloor / other.ofFloor
    const wanted = TIMES[name] ?? OF_FLOOR
    return [
      {
        what,
        measured,
        beside: `${ratio.toFixed(2)} × ${name}${name === 'floor' ? ` (of processor time ${ours.cpuOfFloor.toFixed(2)})` : ''}`,
        target: `≥ ${wanted} × ${name}`,
        reached: ratio >= wanted,
        cause: name === 'floor' && body === LARGE ? CAUSE_LARGE : CAUSES[name],
      },
    ]
  })
}

function pacedFigures(paced: readonly Paced[]): Figure[] {
  return paced.map(({ perSecond, servers }) => {
    const p99 = (name: Name) => servers.get(name)?.p99 ?? NaN
    const others = NAMES.filter(name => name !== 'webhook').map(name => `${name} ${p99(name).toFixed(2)} ms`)
    return {
      what: `webhook: p99 at ${perSecond} requests/s of 13 KB`,
      measured: `${p99('webhook').toFixed(2)} ms`,
      beside: others.join(', '),
      target: `≤ ${P99_MS} ms`,
      reached: p99('webhook') <= P99_MS,
      cause:
        p99('floor') > P99_MS
          ? `the machine: the bare floor needs ${(p99('floor') / P99_MS).toFixed(1)} times as long as that, too`
          : 'its collections and its own work come on top of the floor’s',
    }
  })
}

function memoryFigures(samples: readonly MemorySample[]): Figure[] {
  const last = samples.at(-1) ?? { requests: 0, residentMiB: NaN, anonymousMiB: NaN }
  const tenth = samples.find(({ requests }) => requests >= last.requests / 10) ?? last
  const growth = last.residentMiB - tenth.residentMiB
  const many = last.requests.toLocaleString('en')
  return [
    {
      what: `webhook: resident memory after ${many} requests of 13 KB`,
      measured: `${last.residentMiB.toFixed(0)} MiB`,
      target: `≤ ${RESIDENT_MIB} MiB`,
      reached: last.residentMiB <= RESIDENT_MIB,
      cause: `${(last.residentMiB - last.anonymousMiB).toFixed(0)} MiB of it are node’s own file, which all of a machine share`,
    },
    {
      what: `webhook: growth of it from ${tenth.requests.toLocaleString('en')} requests on`,
      measured: `${growth.toFixed(1)} MiB`,
      target: `≤ ${FLAT_MIB} MiB`,
      reached: growth <= FLAT_MIB,
    },
  ]
}

function readyFigures(ready: ReadyTimes): Figure[] {
  const figure = (what: string, key: keyof ReadyTimes): Figure => ({
    what: `webhook: start to ready, ${what}`,
    measured: `${ready[key].toFixed(0)} ms`,
    target: `≤ ${READY_MS[key]} ms`,
    reached: ready[key] <= READY_MS[key],
  })
  return [figure('with a Secret', 'withSecretMs'), figure('without', 'withoutSecretMs')]
}

function throughputTable(cells: readonly Cell[]): Table {
  return {
    title: 'Closed loop: requests per second, share of the floor, processor time per request',
    head: ['review', 'connections', ...NAMES],
    rows: cells.map(({ body, connections, servers }) => [
      body,
      String(connections),
      ...NAMES.map(name => {
        const found = servers.get(name)
        if (found === undefined) return '-'
        const { perSecond, ofFloor, cpuMicros } = found
        return `${perSecond.toFixed(0)}/s, ${ofFloor.toFixed(2)}, ${cpuMicros.toFixed(0)} µs`
      }),
    ]),
  }
}

function latencyTable(paced: readonly Paced[]): Table {
  return {
    title: 'Fixed rate, 13 KB: p50 / p90 / p99 / p99.9 / highest in milliseconds, from when a request was due',
    head: ['requests/s', ...NAMES],
    rows: paced.map(({ perSecond, servers }) => [
      String(perSecond),
      ...NAMES.map(name => {
        const found = servers.get(name)
        if (found === undefined) return '-'
        const { p50, p90, p99, p999, max } = found
        return [p50, p90, p99, p999, max].map(ms => ms.toFixed(2)).join(' / ')
      }),
    ]),
  }
}

function throughputPlot(cells: readonly Cell[], bodies: readonly Body[]): Plot {
  const bytes = new Map(bodies.map(({ name, text }) => [name, text.length]))
  return {
    name: 'webhook-throughput',
    title: 'Reviews per second, 20 connections',
    x: 'bytes of the review',
    y: 'requests per second',
    lines: NAMES.map(name => ({
      name,
      points: cells
        .filter(({ connections }) => connections === 20)
        .map(({ body, servers }) => [bytes.get(body) ?? 0, servers.get(name)?.perSecond ?? 0] as const),
    })),
  }
}

function memoryPlot(samples: readonly MemorySample[]): Plot {
  const line = (name: string, key: 'residentMiB' | 'anonymousMiB') => ({
    name,
    points: samples.filter(({ requests }) => requests > 0).map(sample => [sample.requests, sample[key]] as const),
  })
  return {
    name: 'webhook-memory',
    title: 'Memory of the webhook',
    x: 'requests answered',
    y: 'MiB',
    lines: [line('resident', 'residentMiB'), line('anonymous', 'anonymousMiB')],
  }
}
