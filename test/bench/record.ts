import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { format } from 'prettier'
import type { Machine } from './machine.ts'

/** One line of the table: a figure, and what it was to be. */
export interface Figure {
  what: string
  measured: string
  /** What it is measured against, in the same run. */
  beside?: string
  target?: string
  /** Absent where there is no target. */
  reached?: boolean
  /** Why it is not reached, where that is known. */
  cause?: string
}

export interface Plot {
  /** File name without its ending. */
  name: string
  title: string
  x: string
  y: string
  lines: readonly { name: string; points: readonly (readonly [x: number, y: number])[] }[]
}

export interface Table {
  title: string
  head: readonly string[]
  rows: readonly (readonly string[])[]
}

/** What a part of the benchmark found. */
export interface Findings {
  figures: readonly Figure[]
  tables: readonly Table[]
  plots: readonly Plot[]
}

export interface PartRecord extends Findings {
  machine: Machine
  /** Made with short durations: good for seeing that all works, not for quoting. */
  quick: boolean
}

export const PARTS = ['webhook', 'sidecar', 'decider', 'growth'] as const
export type Part = (typeof PARTS)[number]

export type Results = Partial<Record<Part, PartRecord>>

/** The last results of every part; none when there is no such file yet. */
export async function readResults(file: string): Promise<Results> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Results
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}

export async function writeResults(file: string, results: Results): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, await format(JSON.stringify(results), { parser: 'json', printWidth: 120 }))
}
