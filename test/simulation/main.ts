import { parseArgs } from 'node:util'
import { runSeed } from './run.ts'
import { runTasks } from './workers.ts'

const { values: given } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    first: { type: 'string', default: '1' },
    workers: { type: 'string' },
  },
})

/** Every so many seeds the calm after the faults is watched for long. */
const LONG_EVERY = 5
const isLong = (seed: number) => seed % LONG_EVERY === 0

async function replay(seed: number): Promise<number> {
  const { trace, violations } = await runSeed(seed, { trace: true, long: isLong(seed) })
  for (const line of trace) console.log(line)
  return violations.length
}

async function simulate(first: number, count: number): Promise<number> {
  const failed: number[] = []
  const sum = { seeds: 0, hours: 0, cycles: 0, handOvers: 0, excused: 0 }
  const seeds = Array.from({ length: count }, (_, index) => first + index)
  const line = () =>
    `${sum.seeds} of ${count} seeds, ${sum.hours.toFixed(0)} hours, ${sum.cycles} cycles, ${sum.handOvers} removals, ${sum.excused} gaps by people, ${failed.length} failed`
  await runTasks(
    seeds.map(seed => ({ kind: 'seed' as const, seed, long: isLong(seed) })),
    (_task, done) => {
      if (done.kind !== 'seed') return
      const { seed, violations, virtualMs, cycles, handOvers, excusedGaps } = done.result
      sum.seeds++
      sum.hours += virtualMs / 3_600_000
      sum.cycles += cycles
      sum.handOvers += handOvers
      sum.excused += excusedGaps
      if (violations.length > 0) {
        failed.push(seed)
        for (const { rule, text } of violations) console.log(`\nseed ${seed}: ${rule}: ${text}`)
      }
      if (process.stdout.isTTY) process.stdout.write(`\r${line()}`)
      else if (sum.seeds % 100 === 0) console.log(line())
    },
    given.workers === undefined ? {} : { workers: Number(given.workers) },
  )
  console.log(`\n${line()}`)
  for (const seed of failed.slice(0, 3)) {
    console.log(`\nSEED=${seed} npm run simulate\n`)
    await replay(seed)
  }
  return failed.length
}

const { SEED } = process.env
const failures =
  SEED === undefined ? await simulate(Number(given.first), Number(given.seeds)) : await replay(Number(SEED))
process.exitCode = failures > 0 ? 1 : 0
