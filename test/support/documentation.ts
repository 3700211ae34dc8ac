import { readFileSync } from 'node:fs'

/** A fenced block of a Markdown page. */
export interface Block {
  /** Such as `docs/quick-start.md:23`, where its first line is. */
  where: string
  /** The words behind the fence: the language, and notes to the tests. */
  info: readonly string[]
  text: string
}

/** Every fenced block of a page, in order. */
export function blocksOf(page: string): Block[] {
  const lines = readFileSync(page, 'utf8').split('\n')
  const blocks: Block[] = []
  let begun: { line: number; info: string[]; indent: number } | undefined
  for (const [index, line] of lines.entries()) {
    const fence = /^( *)```(.*)$/.exec(line)
    if (!fence) continue
    const [, indent = '', info = ''] = fence
    if (begun) {
      const text = lines.slice(begun.line, index).map(each => each.slice(begun?.indent ?? 0))
      blocks.push({ where: `${page}:${begun.line + 1}`, info: begun.info, text: `${text.join('\n')}\n` })
      begun = undefined
    } else begun = { line: index + 1, info: info.split(' ').filter(Boolean), indent: indent.length }
  }
  return blocks
}

/** Whether a block holds commands. */
export function isShell({ info: [language = ''] }: Block): boolean {
  return ['sh', 'bash', 'shell', 'console'].includes(language)
}
