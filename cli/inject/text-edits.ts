import {
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type ParsedNode,
  type YAMLMap,
} from 'yaml'

/** Replaces `text.slice(start, end)`. */
export interface TextEdit {
  start: number
  end: number
  text: string
}

/** Mappings and lists as a program sees them; texts, numbers and null alike are leaves. */
export type Path = readonly (string | number)[]

/** This YAML cannot be changed in place; the reason follows "it". */
export class UneditableError extends Error {}

/**
 * The edit that adds `value` under the key at `path`, or at the end of the list there. Works on the text by the
 * positions of the parsed nodes, so that comments, quotes, order and spacing of everything else stay as they are.
 */
export function additionTo(text: string, root: Node | null, path: Path, value: unknown): TextEdit {
  const last = path.at(-1)
  const parent = nodeAt(root, path.slice(0, -1))
  if (last === '-') {
    if (!isSeq(parent)) throw new UneditableError('has no plain list where one is needed')
    return appendTo(text, parent, flowText(value), column => blockItem(value, column))
  }
  if (!isMap(parent) || typeof last !== 'string') throw new UneditableError('has no plain mapping where one is needed')
  const pair = pairOf(parent, last)
  if (pair !== undefined) return replaceValue(text, pair, value)
  const key = JSON.stringify(last)
  return appendTo(text, parent, `${key}: ${flowText(value)}`, column => blockPair(last, value, column))
}

/** The edit that takes the entry at `path` out, together with the lines or the comma that belong to it. */
export function removalOf(text: string, root: Node | null, path: Path): TextEdit {
  const last = path.at(-1)
  const parent = nodeAt(root, path.slice(0, -1))
  if (!isCollection(parent)) throw new UneditableError('has an alias or anchor in the way')
  const index = isMap(parent)
    ? parent.items.findIndex(pair => isScalar(pair.key) && pair.key.value === last)
    : Number(last)
  const items = parent.items as readonly (Node | Pair)[]
  const item = items[index]
  if (item === undefined) throw new UneditableError('has an alias or anchor in the way')
  const before = items[index - 1]
  const after = items[index + 1]
  if (parent.flow === true) {
    if (before !== undefined) return { start: endOf(before), end: endOf(item), text: '' }
    return { start: startOf(item), end: after === undefined ? endOf(item) : startOf(after), text: '' }
  }
  const start = text.lastIndexOf('\n', startOf(item) - 1)
  const newline = start > 0 && text[start - 1] === '\r' ? start - 1 : start
  const own = text.slice(start + 1, startOf(item))
  if (start < 0 || !/^ *(?:- *)?$/.test(own)) throw new UneditableError('has an entry that shares its line')
  return { start: newline, end: lineEnd(text, endOf(item)), text: '' }
}

/** All edits, made from the last to the first, so that none moves another's place. */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  return edits
    .toSorted((a, b) => b.start - a.start)
    .reduce((result, { start, end, text: put }) => result.slice(0, start) + put + result.slice(end), text)
}

export function nodeAt(root: Node | null, path: Path): Node | undefined {
  let node: unknown = root
  for (const key of path) {
    if (isMap(node)) node = typeof key === 'string' ? pairOf(node, key)?.value : undefined
    else if (isSeq(node)) node = node.items[Number(key)]
    else return undefined
  }
  if (isAlias(node) || (isCollection(node) && node.anchor !== undefined)) {
    throw new UneditableError('has an alias or anchor in the way')
  }
  return (node ?? undefined) as Node | undefined
}

function pairOf(map: YAMLMap, key: string): Pair | undefined {
  return map.items.find(pair => isScalar(pair.key) && pair.key.value === key)
}

/** Into a flow collection (`{a: 1}`, JSON) as flow, into a block as lines at the column of its other entries. */
function appendTo(
  text: string,
  parent: Node & { flow?: boolean; items: readonly unknown[] },
  flow: string,
  block: (column: number) => string[],
): TextEdit {
  const items = parent.items as readonly (Node | Pair)[]
  const last = items.at(-1)
  if (parent.flow === true) {
    const [start] = rangeOf(parent)
    const at = last === undefined ? start + 1 : endOf(last)
    return { start: at, end: at, text: last === undefined ? flow : `, ${flow}` }
  }
  if (last === undefined) throw new UneditableError('has an empty block')
  const [start] = rangeOf(parent)
  const column = start - (text.lastIndexOf('\n', start - 1) + 1)
  if (text.slice(start - column, start).includes('\t')) {
    throw new UneditableError('has a block whose column is not clear')
  }
  const end = lineEnd(text, endOf(last))
  const newline = text.includes('\r\n') ? '\r\n' : '\n'
  return {
    start: end,
    end,
    text: block(column)
      .map(line => newline + line)
      .join(''),
  }
}

/** `key:` and `key: null` get a value in place of nothing; any other value is ours and is written anew. */
function replaceValue(text: string, pair: Pair, value: unknown): TextEdit {
  const node = pair.value as ParsedNode | null
  const keyEnd = endOf(pair.key as Node)
  const colon = text.indexOf(':', keyEnd) + 1
  if (node === null || !isScalar(node)) throw new UneditableError('has something else where a value is needed')
  const [start, end] = rangeOf(node)
  if (start === end) return { start: colon, end: colon, text: ` ${flowText(value)}` }
  return { start, end: text[end - 1] === '\n' ? end - 1 : end, text: flowText(value) }
}

/** JSON is YAML in flow style, in one line and with every text quoted. */
function flowText(value: unknown): string {
  return JSON.stringify(value)
}

function blockItem(value: unknown, column: number): string[] {
  const [first = '', ...rest] = blockLines(value)
  const indent = ' '.repeat(column)
  return [`${indent}- ${first}`, ...rest.map(line => `${indent}  ${line}`)]
}

function blockPair(key: string, value: unknown, column: number): string[] {
  const indent = ' '.repeat(column)
  const name = scalarText(key)
  if (typeof value !== 'object' || value === null || isEmpty(value)) return [`${indent}${name}: ${scalarText(value)}`]
  const deeper = Array.isArray(value) ? '' : '  '
  return [`${indent}${name}:`, ...blockLines(value).map(line => `${indent}${deeper}${line}`)]
}

/** Lists are indented like their key, as kubectl writes them. */
function blockLines(value: unknown): string[] {
  if (Array.isArray(value) && value.length > 0) return value.flatMap(item => blockItem(item, 0))
  if (typeof value === 'object' && value !== null && !isEmpty(value)) {
    return Object.entries(value).flatMap(([key, inner]) => blockPair(key, inner, 0))
  }
  return [scalarText(value)]
}

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0
}

/** Plain where no reader of YAML, old or new, could take it for anything but this text. */
function scalarText(value: unknown): string {
  const isPlain = typeof value === 'string' && /^[A-Za-z/][\w./-]*$/.test(value)
  return isPlain && !/^(?:y|n|yes|no|on|off|true|false|null)$/i.test(value) ? value : JSON.stringify(value)
}

/** The end of the line on which the text before `offset` ends: before its newline, after a comment. */
function lineEnd(text: string, offset: number): number {
  const from = text[offset - 1] === '\n' ? offset - 1 : offset
  const found = text.indexOf('\n', from)
  const end = found < 0 ? text.length : found
  return text[end - 1] === '\r' ? end - 1 : end
}

function rangeOf(node: Node): [number, number] {
  const range = node.range
  if (range === null || range === undefined) throw new UneditableError('has a node without a place in the text')
  return [range[0], range[1]]
}

function startOf(item: Node | Pair): number {
  return rangeOf(('key' in item ? item.key : item) as Node)[0]
}

/** Where the last thing written of an entry ends; a block ends with its last entry, not with what follows it. */
function endOf(item: Node | Pair): number {
  if ('key' in item) {
    const value = item.value as Node | null
    return value === null || rangeOf(value)[0] === rangeOf(value)[1] ? endOf(item.key as Node) + 1 : endOf(value)
  }
  if (isCollection(item) && item.flow !== true) {
    const last = item.items.at(-1) as Node | Pair | undefined
    if (last !== undefined) return endOf(last)
  }
  return rangeOf(item)[1]
}
