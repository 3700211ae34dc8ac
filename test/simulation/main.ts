import { parseArgs } from 'node:util'
import { formatFigures, measureFigures } from './figures/table.ts'
import { runSeed } from './run.ts'
import { runTasks } from './workers.ts'

const { values: given } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    first: { type: 'string', default: '1' },
    handovers: { type: 'string', default: '100000' },
    deaths: { type: 'string', default: '500' },
    workers: { type: 'string' },
  },
})

const workers = given.workers === undefined ? {} : { workers: Number(given.workers) }

async function replay(seed: number): Promise<number> {
  const { trace, violations } = await runSeed(seed, { trace: true })
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
    seeds.map(seed => ({ kind: 'seed' as const, seed })),
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
    workers,
  )
  console.log(`\n${line()}`)
  for (const seed of failed.slice(0, 3)) {
    console.log(`\nSEED=${seed} npm run simulate\n`)
    await replay(seed)
  }
  return failed.length
}

async function figures(): Promise<void> {
  const measured = await measureFigures({
    handOvers: Number(given.handovers),
    deaths: Number(given.deaths),
    ...workers,
    onProgress: what => console.log(`measuring ${what}`),
  })
  console.log(`\n${formatFigures(measured)}\n`)
  const missed = measured.filter(({ reached }) => !reached)
  for (const { what, profile, target } of missed) console.log(`not reached: ${what}, ${profile}: ${target}`)
}

const { SEED } = process.env
if (SEED === undefined) {
  const failures = await simulate(Number(given.first), Number(given.seeds))
  if (Number(given.deaths) > 0) await figures()
  process.exitCode = failures > 0 ? 1 : 0
} else {
  process.exitCode = (await replay(Number(SEED))) > 0 ? 1 : 0
}
