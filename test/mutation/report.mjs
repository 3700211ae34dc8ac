import { readFile } from 'node:fs/promises'
import { EQUIVALENTS } from './equivalents.mjs'

const NOTICED = ['Killed', 'Timeout']
const UNNOTICED = ['Survived', 'NoCoverage']

/** The report for people, and the score of each group in percent. */
export async function report(results) {
  const rows = []
  const left = []
  const equivalent = []
  const scores = []
  for (const [group, all] of Object.entries(results)) {
    const mutants = await Promise.all(all.map(judged))
    for (const file of new Set(mutants.map(mutant => mutant.file))) {
      rows.push(row(file, count(mutants.filter(mutant => mutant.file === file))))
    }
    const total = count(mutants)
    rows.push(row(`**${group}**`, total))
    scores.push(scoreOf(total))
    for (const mutant of mutants) {
      if (mutant.verdict === 'left') left.push(described(mutant))
      if (mutant.verdict === 'equivalent') equivalent.push(`${described(mutant)}: ${mutant.why}`)
    }
  }
  const text = [
    '# Mutation score',
    '',
    'Written by `npm run mutation`. Each mutant is one small change of a pure part; a test must fail because of it. Goal: 90 %.',
    'The tests are the tables and scenarios alone: properties would notice more, but cost too much to run for each mutant.',
    'Equivalent mutants change nothing that anybody could see; they are left out of the score and listed at the end.',
    '',
    '| file | mutants | noticed | not noticed | equivalent | score |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...rows,
    '',
    '## Not noticed',
    '',
    ...left.sort(),
    '',
    '## Equivalent',
    '',
    ...equivalent.sort(),
    '',
  ].join('\n')
  return { text, scores }
}

/** A mutant with what became of it, the line it is in and the piece of it that it replaces. */
async function judged(mutant) {
  const { file, start, end, replacement, status } = mutant
  const lines = (await readFile(file, 'utf8')).split('\n')
  const line = lines[start.line - 1] ?? ''
  const piece =
    start.line === end.line ? line.slice(start.column - 1, end.column - 1) : `${line.slice(start.column - 1)} …`
  const known = EQUIVALENTS.find(
    one => one.file === file && line.includes(one.line) && one.piece === piece && one.replacement === flat(replacement),
  )
  const noticed = NOTICED.includes(status) ? 'noticed' : UNNOTICED.includes(status) ? 'left' : 'invalid'
  return {
    ...mutant,
    line: line.trim(),
    piece,
    verdict: noticed === 'left' && known ? 'equivalent' : noticed,
    why: known?.why,
  }
}

function count(mutants) {
  const of = verdict => mutants.filter(mutant => mutant.verdict === verdict).length
  return { noticed: of('noticed'), left: of('left'), equivalent: of('equivalent') }
}

function scoreOf({ noticed, left }) {
  return (100 * noticed) / Math.max(1, noticed + left)
}

function row(name, counts) {
  const { noticed, left, equivalent } = counts
  return `| ${name} | ${noticed + left + equivalent} | ${noticed} | ${left} | ${equivalent} | ${scoreOf(counts).toFixed(1)} % |`
}

function described({ file, start, line, piece, replacement }) {
  return `- ${file}:${start.line}:${start.column} ${code(piece)} → ${code(flat(replacement))} in ${code(line)}`
}

function flat(text) {
  return text.replace(/\s+/g, ' ').trim()
}

function code(text) {
  const short = text.length > 100 ? `${text.slice(0, 99)}…` : text
  return `\`${short.replaceAll('`', "'")}\``
}
