import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildPrograms } from './bundles.ts'
import { measureDecider } from './decider/main.ts'
import { measureGrowth } from './growth/main.ts'
import { thisMachine } from './machine.ts'
import { FULL, QUICK, type Durations, type PartOptions } from './options.ts'
import { figuresTable, writePage } from './page.ts'
import { PARTS, readResults, writeResults, type Findings, type Part } from './record.ts'
import { measureSidecar } from './sidecar/main.ts'
import { measureWebhook } from './webhook/main.ts'

const USAGE = `npm run bench [-- [webhook] [sidecar] [decider] [growth] [options]]
Measures the programs side by side with others, prints a table and writes docs/benchmarks.md. All parts by default; the
last results of the others stay in the page. Exit code 1: something broke. A figure that is not reached is no failure.

  --quick        short durations: to see that all works
  --seconds S    of each closed loop
  --requests N   for the memory of the webhook (default 1000000; quick 20000)
  --docs DIR     where the page is (default docs)
`
const PARTS_BY_NAME: Readonly<Record<Part, (options: PartOptions) => Promise<Findings>>> = {
  webhook: measureWebhook,
  sidecar: measureSidecar,
  decider: measureDecider,
  growth: measureGrowth,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    requests: { type: 'string' },
    docs: { type: 'string', default: 'docs' },
    help: { type: 'boolean', default: false },
  },
})

// Else the programs that were started would outlive us: they are ended as we exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

if (values.help) process.stdout.write(USAGE)
else process.exitCode = await main()

async function main(): Promise<number> {
  const unknown = positionals.filter(name => !PARTS.some(part => part === name))
  const seconds = values.seconds === undefined ? undefined : Number(values.seconds)
  const requests = values.requests === undefined ? undefined : Number(values.requests)
  if (unknown.length > 0) return refuse(`no part is called ${unknown.join(', ')}`)
  if (seconds !== undefined && !(seconds > 0)) return refuse('--seconds must be more than nothing')
  if (requests !== undefined && !(Number.isInteger(requests) && requests > 0))
    return refuse('--requests must be a number')
  const durations: Durations = {
    ...(values.quick ? QUICK : FULL),
    ...(seconds !== undefined && { closedMs: seconds * 1000 }),
    ...(requests !== undefined && { requests }),
  }
  const wanted = PARTS.filter(part => positionals.length === 0 || positionals.includes(part))
  const folder = await mkdtemp(join(tmpdir(), 'hadr-bench-'))
  const programs = join(folder, 'dist')
  const file = join(values.docs, 'benchmarks', 'results.json')
  const startMs = performance.now()
  const say = (line: string) =>
    console.log(`${((performance.now() - startMs) / 1000).toFixed(0).padStart(5)} s  ${line}`)
  try {
    say('building')
    await buildPrograms(programs)
    for (const part of wanted) {
      say(`${part} …`)
      const findings = await PARTS_BY_NAME[part]({ durations, programs, folder, say })
      const results = await readResults(file)
      // Kept part by part: a later part that breaks does not cost the earlier ones.
      await writeResults(file, { ...results, [part]: { ...findings, machine: thisMachine(), quick: values.quick } })
    }
    const results = await readResults(file)
    await writePage(values.docs, results)
    const figures = wanted.flatMap(part => results[part]?.figures ?? [])
    console.log(`\n${figuresTable(figures)}\n`)
    const missed = figures.filter(({ reached }) => reached === false).length
    console.log(`${figures.length} figures, ${missed} not reached; ${join(values.docs, 'benchmarks.md')} is written`)
    return 0
  } catch (error) {
    console.error(error)
    return 1
  } finally {
    await rm(folder, { recursive: true })
  }
}

function refuse(why: string): number {
  process.stderr.write(`${why}\n\n${USAGE}`)
  return 64
}
