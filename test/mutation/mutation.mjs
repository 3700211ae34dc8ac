// npm run mutation [-- GROUP...]: every small change of the pure parts must be noticed by a test. Writes docs/mutation.md.
// Groups that are not run now keep their results; JOBS=n runs n processes at a time.
import { readFile, writeFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { mutantsOf } from './driver.mjs'
import { GROUPS } from './groups.mjs'
import { report } from './report.mjs'

const GOAL = 90
const RESULTS = '.mutation/results.json'

const names = process.argv.slice(2)
const unknown = names.filter(name => !Object.hasOwn(GROUPS, name))
if (unknown.length > 0) {
  console.error(`unknown group ${unknown.join(', ')}; there are ${Object.keys(GROUPS).join(', ')}`)
  process.exit(2)
}

const results = await readFile(RESULTS, 'utf8').then(JSON.parse, () => ({}))
for (const name of names.length > 0 ? names : Object.keys(GROUPS)) {
  const mutants = await mutantsOf(GROUPS[name], {
    jobs: Number(process.env.JOBS ?? 2),
    reporters: ['progress-append-only'],
  })
  results[name] = mutants.map(({ fileName, mutatorName, replacement, status, location: { start, end } }) => ({
    file: relative(process.cwd(), fileName),
    start,
    end,
    mutator: mutatorName,
    replacement,
    status,
  }))
  await writeFile(RESULTS, JSON.stringify(results))
}
const { text, scores } = await report(results)
await writeFile('docs/mutation.md', text)
console.log(text.slice(0, text.indexOf('\n## ')))
process.exitCode = scores.every(score => score >= GOAL) ? 0 : 1
