import type { Contestant } from './contestants.ts'
import type { LoadGenerator } from './load/client.ts'

export interface MemorySample {
  requests: number
  residentMiB: number
  anonymousMiB: number
}

const SAMPLES = 20
const CONNECTIONS = 20
/** A bound in time, for machines that are very slow. */
const LONGEST_MS = 15 * 60_000

/** What a server occupies while it answers `requests` reviews, as fast as it can. */
export async function measureMemory(
  { program, endpoint }: Contestant,
  { load, bodyFile, requests }: { load: LoadGenerator; bodyFile: string; requests: number },
): Promise<MemorySample[]> {
  const samples: MemorySample[] = [{ requests: 0, ...program.memory() }]
  let made = 0
  for (let sample = 1; sample <= SAMPLES; sample++) {
    const limit = Math.round((requests * sample) / SAMPLES) - made
    const ms = LONGEST_MS / SAMPLES
    made += (await load.run({ endpoint, bodyFile, connections: CONNECTIONS, ms, limit })).exchanges
    program.forget()
    samples.push({ requests: made, ...program.memory() })
  }
  return samples
}
