import fc from 'fast-check'
import type { FuzzTarget } from './target.ts'

/** Readers with known faults, to see that they are found. */
export const TARGETS: readonly FuzzTarget[] = [
  {
    name: 'crash',
    input: fc.string(),
    check: input => {
      if (input.includes('a')) throw new Error('cannot stand the letter a')
      return 'fine'
    },
  },
  {
    name: 'hang',
    input: fc.string(),
    check: input => {
      for (;;) if (input.length < 5) return 'fine'
    },
  },
]
