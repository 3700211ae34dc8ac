// A few lines of which every mutant is noticed by the tests given here, and one of which these tests know little.
// Prints what became of each mutant as JSON: npm test shows with it that the runner still tells the one from the other.
import { readFile } from 'node:fs/promises'
import { mutantsOf } from './driver.mjs'

const NOTICED = [
  ['decider/active.ts', 'peer.silenceMs <= config.timing.deadAfterMs) return true'],
  ['decider/act/tag-writer.ts', 'runner.tags.includes(write.mainTag) === write.present'],
  ['decider/act/tag-writer.ts', 'const others = runner.tags.filter'],
  ['webhook/target.ts', 'hostNetwork'],
]
const UNNOTICED = ['decider/decide.ts', 'const renewal =']

const mutate = await Promise.all([...NOTICED, UNNOTICED].map(([file, text]) => rangeOf(file, text)))
const mutants = await mutantsOf(
  { mutate, tests: ['decider/active', 'decider/tag-writer', 'webhook/target'].map(name => `test/${name}.test.ts`) },
  { jobs: 1 },
)
console.log(
  JSON.stringify(
    mutants.map(({ fileName, status, replacement, location }) => ({
      known: !fileName.endsWith(UNNOTICED[0]),
      status,
      where: `${fileName}:${location.start.line}: ${replacement}`,
    })),
  ),
)

async function rangeOf(file, text) {
  const lines = (await readFile(file, 'utf8')).split('\n')
  const line = lines.findIndex(line => line.includes(text)) + 1
  if (line === 0) throw new Error(`${file} has no line with ${text}; choose another one`)
  return `${file}:${line}-${line}`
}
