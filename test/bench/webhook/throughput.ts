import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Durations } from '../options.ts'
import { median, medianRatio } from '../statistics.ts'
import { ask, mistakeIn } from './answers.ts'
import type { Body } from './bodies.ts'
import type { Contest, Contestant, Name } from './contestants.ts'
import type { LoadGenerator } from './load/client.ts'
import type { LoadTask } from './load/generator.ts'

/** One server, one size, one number of connections. */
export interface Throughput {
  perSecond: number
  /** Microseconds on processors per request, all threads. */
  cpuMicros: number
  /** Requests per second as a share of the floor's, in the same round. */
  ofFloor: number
  /** The share of the floor's processor time that would be left if the floor had this server's work: floor ÷ this. */
  cpuOfFloor: number
}

/** A size and a number of connections. */
export interface Cell {
  body: string
  connections: number
  servers: ReadonlyMap<Name, Throughput>
}

/** Times the length of a turn. */
const SLOW = 4

export const CONNECTIONS = [1, 20] as const

export interface MeasureOptions {
  contest: Contest
  load: LoadGenerator
  bodies: readonly Body[]
  durations: Durations
  folder: string
  say: (line: string) => void
}

/** Throws when an answer is wrong. */
export async function checkAnswers({ contest, bodies, say }: MeasureOptions): Promise<void> {
  for (const body of bodies) {
    for (const { name, endpoint } of contest.contestants) {
      const answer = await ask(endpoint, body.text)
      const mistake =
        name === 'floor'
          ? answer.status === 200
            ? undefined
            : 'no 200'
          : mistakeIn(answer, body.text, contest.sidecar)
      if (mistake !== undefined) throw new Error(`${name}, ${body.name}: ${mistake}`)
    }
  }
  say('every server gives right answers')
}

/** In rounds, one server after the other, so that what the machine does besides hits all of them alike. */
export async function measureThroughput(options: MeasureOptions): Promise<Cell[]> {
  const { contest, bodies, durations, say } = options
  const cells: Cell[] = []
  for (const body of bodies) {
    const bodyFile = await keepBody(options.folder, body)
    for (const connections of CONNECTIONS) {
      const rounds = new Map<Name, { perSecond: number; cpuMicros: number }[]>()
      const slow = new Set<Name>()
      for (let round = 0; round <= durations.rounds; round++) {
        for (const contestant of contest.contestants) {
          if (round > 1 && slow.has(contestant.name)) continue
          const ms = durations.closedMs
          const startMs = performance.now()
          const sample = await measureOnce(options.load, contestant, { bodyFile, connections, ms })
          // Whoever needs seconds for one answer has one turn: what is owed after the time is up must be waited for.
          if (performance.now() - startMs > SLOW * ms) slow.add(contestant.name)
          // The first round is for the compiler's sake.
          if (round > 0) rounds.set(contestant.name, [...(rounds.get(contestant.name) ?? []), sample])
        }
      }
      const servers = summarise(rounds)
      cells.push({ body: body.name, connections, servers })
      say(`${body.name}, ${connections} connections: ${describe(servers)}`)
    }
  }
  return cells
}

async function measureOnce(
  load: LoadGenerator,
  { program, endpoint }: Contestant,
  task: Omit<LoadTask, 'endpoint'>,
): Promise<{ perSecond: number; cpuMicros: number }> {
  const before = program.cpuMs()
  const { exchanges, seconds } = await load.run({ endpoint, ...task })
  const cpuMicros = ((program.cpuMs() - before) * 1000) / exchanges
  program.forget()
  return { perSecond: exchanges / seconds, cpuMicros }
}

function summarise(
  rounds: ReadonlyMap<Name, readonly { perSecond: number; cpuMicros: number }[]>,
): ReadonlyMap<Name, Throughput> {
  const pick = (name: Name, key: 'perSecond' | 'cpuMicros') => (rounds.get(name) ?? []).map(sample => sample[key])
  return new Map(
    [...rounds.keys()].map(name => [
      name,
      {
        perSecond: median(pick(name, 'perSecond')),
        cpuMicros: median(pick(name, 'cpuMicros')),
        ofFloor: medianRatio(pick(name, 'perSecond'), pick('floor', 'perSecond')),
        cpuOfFloor: medianRatio(pick('floor', 'cpuMicros'), pick(name, 'cpuMicros')),
      },
    ]),
  )
}

function describe(servers: ReadonlyMap<Name, Throughput>): string {
  return [...servers]
    .map(
      ([name, { perSecond, cpuMicros, ofFloor, cpuOfFloor }]) =>
        `${name} ${perSecond.toFixed(0)}/s (${ofFloor.toFixed(2)}), ${cpuMicros.toFixed(0)} µs (${cpuOfFloor.toFixed(2)})`,
    )
    .join('; ')
}

export async function keepBody(folder: string, { name, text }: Body): Promise<string> {
  const file = join(folder, `${name.replaceAll(' ', '-')}.json`)
  await writeFile(file, text)
  return file
}
