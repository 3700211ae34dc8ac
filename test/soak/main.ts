import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '../../lib/service/clock.ts'
import { buildPrograms } from '../bench/bundles.ts'
import { markdownTable } from '../bench/page.ts'
import { createRandom } from '../support/random.ts'
import { judge, sparkline, type Tolerance } from './flat.ts'
import { observe, startScene, type Observation, type Subject } from './scene.ts'

const USAGE = `npm run soak -- [options]
Runs all programs against simulators that fail, and watches what they occupy. Exit code 1: something grows, or a program
ended.

  --minutes M    how long (default 30; at least a tenth)
  --every S      seconds between two looks (default 5)
  --seed S       repeats the same chances
`
const WIDTH = 40
const SAY_EVERY_MS = 60_000

/**
 * What may still be called flat. Memory: V8 keeps growing a little while it compiles what is rare. Handles: retries and
 * keep-alive connections come and go. Delay: a machine that is busy with something else must not look like ours.
 */
const QUANTITIES: readonly { name: string; unit: string; of: keyof Observation; tolerance: Tolerance }[] = [
  { name: 'resident', unit: 'MiB', of: 'residentMiB', tolerance: { share: 0.06, absolute: 3 } },
  { name: 'anonymous', unit: 'MiB', of: 'anonymousMiB', tolerance: { share: 0.06, absolute: 3 } },
  { name: 'sockets', unit: '', of: 'sockets', tolerance: { share: 0.2, absolute: 4 } },
  { name: 'other handles', unit: '', of: 'others', tolerance: { share: 0, absolute: 2 } },
  { name: 'delay', unit: 'ms', of: 'delayMs', tolerance: { share: 1, absolute: 10 } },
]

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    every: { type: 'string', default: '5' },
    seed: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

// Else the programs that were started would outlive us: they are ended as we exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

if (values.help) process.stdout.write(USAGE)
else process.exitCode = await main()

async function main(): Promise<number> {
  const [minutes, everySeconds] = [Number(values.minutes), Number(values.every)]
  const seed = Number(values.seed ?? Date.now() % 2 ** 31)
  if (!(minutes >= 0.1) || !(everySeconds > 0) || !Number.isInteger(seed)) {
    process.stderr.write(USAGE)
    return 64
  }
  console.log(`seed ${seed}`)
  const folder = await mkdtemp(join(tmpdir(), 'hadr-soak-'))
  const programs = join(folder, 'dist')
  try {
    await buildPrograms(programs)
    const scene = await startScene({ programs, folder, random: createRandom(seed), say: line => console.log(line) })
    try {
      const seen = await watch(scene.subjects, { ms: minutes * 60_000, everyMs: everySeconds * 1000 }, () =>
        scene.story(),
      )
      console.log(scene.story())
      return report(seen)
    } finally {
      await scene.stop()
    }
  } catch (error) {
    console.error(error)
    return 1
  } finally {
    await rm(folder, { recursive: true })
  }
}

type Series = ReadonlyMap<string, readonly Observation[]>

async function watch(
  subjects: readonly Subject[],
  { ms, everyMs }: { ms: number; everyMs: number },
  story: () => string,
): Promise<Series> {
  const seen = new Map<string, Observation[]>(subjects.map(({ name }) => [name, []]))
  const startMs = systemClock.monotonicMs()
  let saidMs = startMs
  for (let turn = 1; systemClock.monotonicMs() - startMs < ms; turn++) {
    // One after the other, or they would wait for each other and for us.
    for (const subject of subjects) seen.get(subject.name)?.push(await observe(subject))
    const nowMs = systemClock.monotonicMs()
    if (nowMs - saidMs >= SAY_EVERY_MS) {
      saidMs = nowMs
      console.log(`${((nowMs - startMs) / 60_000).toFixed(0)} min: ${story()}`)
    }
    await systemClock.sleep(Math.max(0, startMs + turn * everyMs - nowMs))
  }
  return seen
}

/** Prints what was seen and returns the exit code. */
function report(seen: Series): number {
  const rows = [...seen].flatMap(([name, observations]) =>
    QUANTITIES.map(({ name: quantity, unit, of, tolerance }) => {
      const samples = observations.map(observation => observation[of])
      const { flat, before, after } = judge(samples, tolerance)
      const allowed = `+${tolerance.share * 100} % +${tolerance.absolute}`
      const numbers = [before, after].map(value => value.toFixed(1))
      return {
        flat,
        cells: [
          name,
          `${quantity} ${unit}`.trim(),
          ...numbers,
          allowed,
          flat ? 'flat' : 'GROWS',
          sparkline(samples, WIDTH),
        ],
      }
    }),
  )
  const head = ['program', 'what', 'second third', 'last third', 'allowed', '', 'all of it']
  console.log(`\n${markdownTable({ head, rows: rows.map(({ cells }) => cells) })}\n`)
  const growing = rows.filter(({ flat }) => !flat).length
  console.log(growing === 0 ? 'everything is flat' : `${growing} quantities grow`)
  return growing === 0 ? 0 : 1
}
