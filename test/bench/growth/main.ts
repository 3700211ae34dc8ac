import { join } from 'node:path'
import { decideTimeMs } from '../../simulation/figures/decide-time.ts'
import { observeDecider, type Rest } from '../decider/lone.ts'
import type { PartOptions } from '../options.ts'
import type { Findings, Plot } from '../record.ts'
import { measureTalk, type Talk } from '../sidecar/talk.ts'
import { median, orderOfGrowth } from '../statistics.ts'
import { reviewOfSize } from '../webhook/bodies.ts'
import { startContest } from '../webhook/contestants.ts'
import { startLoadGenerator } from '../webhook/load/client.ts'
import { keepBody } from '../webhook/throughput.ts'

const FACTORS = [1, 10, 100] as const
const REVIEW_BYTES = 4_000
const RUNNERS = 10
const RECORDING = 'operator-runner'

/** One quantity at 1, 10 and 100 times the size. */
interface Growth {
  what: string
  size: string
  unit: string
  points: readonly (readonly [size: number, value: number])[]
  /** The highest order of growth that is right: 1 where all has to be read, 0 where nothing depends on the size. */
  highest: number
}

/** Slack of an order of growth: constants that are still felt at the small sizes, or caches that no longer are. */
const SLACK = 0.15

/** Every program at 1, 10 and 100 times its size: which quantities grow, and how fast. */
export async function measureGrowth(options: PartOptions): Promise<Findings> {
  const growths = [
    ...(await webhookGrowth(options)),
    ...(await sidecarGrowth(options)),
    ...(await deciderGrowth(options)),
  ]
  return {
    figures: growths.map(({ what, unit, points, highest }) => {
      const order = orderOfGrowth(points)
      return {
        what: `${what}, at ${points.map(([size]) => size.toLocaleString('en')).join(', ')}`,
        measured: `${points.map(([, value]) => short(value)).join(', ')} ${unit}`,
        beside: `size to the power of ${order.toFixed(2)}`,
        target: `≤ ${highest}`,
        reached: order <= highest + SLACK,
      }
    }),
    tables: [],
    plots: growths.map(plotOf),
  }
}

async function webhookGrowth({ programs, folder, durations, say }: PartOptions): Promise<Growth[]> {
  const load = startLoadGenerator(join(programs, 'load-generator.cjs'))
  const small = reviewOfSize(RECORDING, REVIEW_BYTES)
  const contest = await startContest({ folder, programs, review: small, say, names: [] })
  try {
    const [webhook] = contest.contestants
    if (webhook === undefined) throw new Error('the webhook does not run')
    const points: [number, number][] = []
    for (const factor of FACTORS) {
      const text = reviewOfSize(RECORDING, REVIEW_BYTES * factor)
      const bodyFile = await keepBody(folder, { name: `growth ${factor}`, text })
      const micros: number[] = []
      for (let round = 0; round <= durations.rounds; round++) {
        const before = webhook.program.cpuMs()
        const task = { endpoint: webhook.endpoint, bodyFile, connections: 20, ms: durations.closedMs }
        const { exchanges } = await load.run(task)
        webhook.program.forget()
        if (round > 0) micros.push(((webhook.program.cpuMs() - before) * 1000) / exchanges)
      }
      points.push([text.length, median(micros)])
      say(`review of ${text.length} bytes: ${median(micros).toFixed(0)} µs`)
    }
    return [{ what: 'webhook: processor time per review', size: 'bytes of the review', unit: 'µs', points, highest: 1 }]
  } finally {
    await contest.stop()
    await load.stop()
  }
}

async function sidecarGrowth(options: PartOptions): Promise<Growth[]> {
  const talks: Talk[] = []
  for (const factor of FACTORS) talks.push(await measureTalk(RUNNERS * factor, 2, options))
  options.say('sidecar measured')
  const growth = (what: string, unit: string, value: (talk: Talk) => number): Growth => ({
    what: `sidecar: ${what}`,
    size: 'runners in the group',
    unit,
    points: talks.map(talk => [talk.fleet, value(talk)] as const),
    highest: 0,
  })
  return [
    growth('bytes per minute', 'bytes', talk => talk.bytesPerMinute),
    growth('anonymous memory', 'MiB', talk => talk.anonymousMiB),
  ]
}

async function deciderGrowth(options: PartOptions): Promise<Growth[]> {
  const rests: Rest[] = []
  for (const factor of FACTORS) rests.push(await observeDecider(RUNNERS * factor, 4, options))
  options.say('decider measured')
  const size = 'runners of the cluster'
  const growth = (what: string, unit: string, value: (rest: Rest) => number): Growth => ({
    what: `decider: ${what}`,
    size,
    unit,
    points: rests.map(rest => [rest.runners, value(rest)] as const),
    highest: 1,
  })
  return [
    {
      ...growth('decide, 10 clusters', 'ms', () => NaN),
      points: FACTORS.map(
        factor => [RUNNERS * factor, decideTimeMs({ clusters: 10, runners: RUNNERS * factor })] as const,
      ),
    },
    growth('a cycle', 'ms', rest => rest.cycleMs),
    growth('GitLab calls per hour', 'calls', rest => rest.callsPerHour),
    growth('GitLab bytes per hour', 'bytes', rest => rest.bytesPerHour),
    growth('anonymous memory', 'MiB', rest => rest.memory.anonymousMiB),
  ]
}

function plotOf({ what, size, unit, points }: Growth): Plot {
  const name = `growth-${what.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase()}`
  return { name, title: what, x: size, y: unit, lines: [{ name: 'measured', points }] }
}

function short(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(value >= 10 ? 1 : 2)
}
