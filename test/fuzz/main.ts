import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { RunResult } from './run.ts'
import { supervise } from './supervise.ts'
import type { FuzzTarget } from './target.ts'

const USAGE = `npm run fuzz -- [options]
Throws mutated and random input at everything that reads what others wrote. Exit code 1: something broke, and the input
that did it is kept in test/fuzz/failures.

  --count N        inputs per target (default 100000; with --minutes as many as there is time for)
  --minutes M      time for all targets together
  --seed S         repeats a run
  --only NAME      one target
  --hang-seconds N an input that takes longer counts as one that never ends (default 30)
  --failures DIR   where failing inputs are kept
  --targets FILE   another module that exports TARGETS
`
const FAILURES = 'test/fuzz/failures'

const { values } = parseArgs({
  options: {
    count: { type: 'string' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    only: { type: 'string' },
    'hang-seconds': { type: 'string', default: '30' },
    failures: { type: 'string', default: FAILURES },
    targets: { type: 'string', default: 'test/fuzz/targets/index.ts' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) process.stdout.write(USAGE)
else process.exitCode = await main()

async function main(): Promise<number> {
  const module = pathToFileURL(resolve(values.targets)).href
  const { TARGETS } = (await import(module)) as { TARGETS: readonly FuzzTarget[] }
  const targets = TARGETS.filter(({ name }) => values.only === undefined || values.only === name)
  if (targets.length === 0) return refuse(`--only must be one of ${TARGETS.map(({ name }) => name).join(', ')}`)
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
  const count = Number(values.count ?? (minutes === undefined ? 100_000 : 2 ** 31 - 1))
  const seed = Number(values.seed ?? Date.now() % 2 ** 31)
  const hangMs = Number(values['hang-seconds']) * 1000
  const isWhole = (value: number) => Number.isInteger(value) && value >= 0
  if (!isWhole(count) || count === 0 || !isWhole(seed)) return refuse('--count and --seed must be whole numbers')
  if (!(hangMs > 0) || (minutes !== undefined && !(minutes > 0))) return refuse('a time must be more than nothing')
  const limitMs = minutes === undefined ? 2 ** 31 - 1 : (minutes * 60_000) / targets.length

  console.log(`seed ${seed}`)
  const rows: Record<string, Record<string, string | number>> = {}
  let failed = false
  for (const target of targets) {
    const startedMs = performance.now()
    const onProgress = (tried: number) => console.log(`${target.name}: ${tried} inputs`)
    const result = await supervise(target, { module, seed, count, limitMs, hangMs, onProgress })
    const seconds = (performance.now() - startedMs) / 1000
    rows[target.name] = rowOf(result, seconds)
    if (result.failure === undefined) continue
    failed = true
    const file = keep(target.name, seed, result.failure.input)
    console.error(`${target.name}: input ${result.tried} failed; it is kept in ${file}\n${result.failure.error}`)
  }
  console.table(rows)
  return failed ? 1 : 0
}

function rowOf({ tried, outcomes, failure }: RunResult, seconds: number): Record<string, string | number> {
  const words = Object.entries(outcomes).map(([outcome, times]) => `${outcome} ${times}`)
  return {
    inputs: tried,
    seconds: Math.round(seconds),
    outcomes: words.join(', '),
    failed: failure === undefined ? 0 : 1,
  }
}

function keep(target: string, seed: number, input: string): string {
  mkdirSync(values.failures, { recursive: true })
  const file = join(values.failures, `${target}-${seed}.txt`)
  writeFileSync(file, input)
  return file
}

function refuse(why: string): number {
  process.stderr.write(`${why}\n\n${USAGE}`)
  return 64
}
