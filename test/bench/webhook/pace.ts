import type { Latencies } from './load/drive.ts'
import type { Name } from './contestants.ts'
import { median } from '../statistics.ts'
import { keepBody, type MeasureOptions } from './throughput.ts'

export interface Paced {
  perSecond: number
  servers: ReadonlyMap<Name, Latencies>
}

export const RATES = [200, 1000] as const
/** As many as an API server would have open in a burst. */
const CONNECTIONS = 20

/** Latencies at fixed rates; each is the median of its rounds. A server that cannot keep up has seconds of them. */
export async function measurePaced({
  contest,
  load,
  bodies,
  durations,
  folder,
  say,
}: MeasureOptions): Promise<Paced[]> {
  const [body] = bodies
  if (body === undefined) throw new Error('there is no body')
  const bodyFile = await keepBody(folder, body)
  const results: Paced[] = []
  for (const perSecond of RATES) {
    const rounds = new Map<Name, Latencies[]>()
    for (let round = 0; round < durations.rounds; round++) {
      for (const { name, endpoint, program } of contest.contestants) {
        const task = { endpoint, bodyFile, connections: CONNECTIONS, ms: durations.fixedMs, perSecond }
        const { latencies } = await load.run(task)
        program.forget()
        rounds.set(name, [...(rounds.get(name) ?? []), latencies])
      }
    }
    const servers = new Map([...rounds].map(([name, all]) => [name, medians(all)]))
    results.push({ perSecond, servers })
    const text = [...servers].map(([name, { p50, p99 }]) => `${name} ${p50.toFixed(2)} / ${p99.toFixed(2)}`)
    say(`${body.name}, ${perSecond}/s, p50 / p99 in ms: ${text.join('; ')}`)
  }
  return results
}

function medians(all: readonly Latencies[]): Latencies {
  const of = (key: keyof Latencies) => median(all.map(latencies => latencies[key]))
  return { p50: of('p50'), p90: of('p90'), p99: of('p99'), p999: of('p999'), max: of('max') }
}
