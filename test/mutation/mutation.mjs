// npm run mutation [-- GROUP...]: every small change of the pure parts must be noticed by a test. Writes docs/mutation.md.
import { Stryker } from '@stryker-mutator/core'
import { readFile, writeFile } from 'node:fs/promises'
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

/** Results of groups that are not run now are kept. */
const results = await readFile(RESULTS, 'utf8').then(JSON.parse, () => ({}))
for (const name of names.length > 0 ? names : Object.keys(GROUPS)) {
  const stryker = new Stryker({
    mutate: GROUPS[name].mutate,
    testRunner: 'command',
    buildCommand: `node test/mutation/bundle.mjs ${name}`,
    // One seed for all mutants, so that none is killed by luck; the first failure is enough.
    commandRunner: { command: 'SEED=1 TAP_BAIL=1 node .mutation/tests.mjs' },
    ignorePatterns: ['dist', 'docs', '.tap', '.mutation', 'manifests'],
    tempDirName: '.mutation/sandbox',
    concurrency: 2,
    timeoutMS: 30_000,
    reporters: ['progress-append-only'],
    plugins: [],
    checkers: [],
    disableTypeChecks: false,
    allowConsoleColors: false,
    thresholds: { high: 100, low: GOAL, break: null },
  })
  const mutants = await stryker.runMutationTest()
  results[name] = mutants.map(({ fileName, mutatorName, replacement, status, location }) => ({
    file: fileName.replace(`${process.cwd()}/`, ''),
    line: location.start.line,
    column: location.start.column,
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
