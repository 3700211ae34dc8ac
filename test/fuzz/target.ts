import type fc from 'fast-check'

/** One thing that reads what others wrote. */
export interface FuzzTarget {
  name: string
  /** Makes inputs from a source of chance that a seed repeats. */
  input: fc.Arbitrary<string>
  /** What became of an input, in a word for the summary. Throws when something is wrong; must be quick for any input. */
  check: (input: string) => string | Promise<string>
}
