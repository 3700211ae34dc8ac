import { readFile } from 'node:fs/promises'

const CAUGHT = ['Killed', 'Timeout']
const LEFT = ['Survived', 'NoCoverage']

/** The report for people, and the score of each group in percent. */
export async function report(results) {
  const rows = []
  const survivors = []
  const scores = []
  for (const [group, mutants] of Object.entries(results)) {
    const files = Map.groupBy ? Map.groupBy(mutants, ({ file }) => file) : groupByFile(mutants)
    for (const [file, its] of files) rows.push(row(file, its))
    rows.push(row(`**${group}**`, mutants))
    scores.push(scoreOf(mutants))
    for (const mutant of mutants) if (LEFT.includes(mutant.status)) survivors.push(await described(mutant))
  }
  const text = [
    '# Mutation score',
    '',
    'Written by `npm run mutation`. Each mutant is one small change of a pure part; a test must fail because of it. Goal: 90 %.',
    '',
    '| file | mutants | noticed | not noticed | score |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...rows,
    '',
    '## Not noticed',
    '',
    ...survivors.sort(),
    '',
  ].join('\n')
  return { text, scores }
}

function groupByFile(mutants) {
  const files = new Map()
  for (const mutant of mutants) files.set(mutant.file, [...(files.get(mutant.file) ?? []), mutant])
  return files
}

function count(mutants, statuses) {
  return mutants.filter(({ status }) => statuses.includes(status)).length
}

function scoreOf(mutants) {
  const caught = count(mutants, CAUGHT)
  return (100 * caught) / Math.max(1, caught + count(mutants, LEFT))
}

function row(name, mutants) {
  const [caught, left] = [count(mutants, CAUGHT), count(mutants, LEFT)]
  return `| ${name} | ${caught + left} | ${caught} | ${left} | ${scoreOf(mutants).toFixed(1)} % |`
}

async function described({ file, line, mutator, replacement }) {
  const source = (await readFile(file, 'utf8')).split('\n')[line - 1]?.trim() ?? ''
  const shown = replacement.replace(/\s+/g, ' ').slice(0, 100)
  return `- ${file}:${line} ${mutator}: \`${source.replaceAll('`', "'")}\` → \`${shown.replaceAll('`', "'")}\``
}
