import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { format } from 'prettier'
import { describeMachine } from './machine.ts'
import { plotSvg } from './plot.ts'
import { PARTS, type Figure, type Part, type PartRecord, type Results, type Table } from './record.ts'

/** Figures as a Markdown table. */
export function figuresTable(figures: readonly Figure[]): string {
  return markdownTable({
    head: ['what', 'measured', 'beside it', 'to reach', 'reached'],
    rows: figures.map(({ what, measured, beside = '', target = '', reached, cause }) => [
      what,
      measured,
      beside,
      target,
      reached === undefined ? '' : reached ? 'yes' : cause === undefined ? '**no**' : `**no**: ${cause}`,
    ]),
  })
}

export function markdownTable({ head, rows }: Pick<Table, 'head' | 'rows'>): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |`
  return [line(head), line(widths.map(width => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

/** What a part found, as a section of the page; the plots are images beside it. */
export function section({ figures, tables, plots, machine, quick }: PartRecord): string {
  const note = quick ? '\n\n**A quick run: the durations are too short for these figures to be quoted.**' : ''
  return [
    `${describeMachine(machine)}.${note}`,
    figuresTable(figures),
    ...tables.map(table => `${table.title}:\n\n${markdownTable(table)}`),
    ...plots.map(({ name, title }) => `![${title}](benchmarks/${name}.svg)`),
  ].join('\n\n')
}

/** The page with each part's section between its marks; the text around them, by people, stays. */
export function fill(page: string, results: Results): string {
  return PARTS.reduce((text, part) => {
    const record = results[part]
    return record === undefined ? text : replaceBetween(text, part, section(record))
  }, page)
}

function replaceBetween(page: string, part: Part, content: string): string {
  const [begin, end] = [`<!-- measured: ${part} -->`, `<!-- end of ${part} -->`]
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`the page has no ${begin} … ${end}`)
  return `${page.slice(0, from)}${begin}\n\n${content}\n\n${page.slice(to)}`
}

/** Writes `benchmarks.md` and its plots in the folder of the documentation. */
export async function writePage(docs: string, results: Results): Promise<void> {
  const file = join(docs, 'benchmarks.md')
  const page = fill(await readFile(file, 'utf8'), results)
  await writeFile(file, await format(page, { parser: 'markdown', printWidth: 120 }))
  await mkdir(join(docs, 'benchmarks'), { recursive: true })
  for (const { plots } of Object.values(results))
    for (const plot of plots) await writeFile(join(docs, 'benchmarks', `${plot.name}.svg`), plotSvg(plot))
}
