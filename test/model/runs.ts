import type { Scope } from './deciders.ts'
import { protocol } from './protocol.ts'
import { type Search, search } from './search.ts'

const PLAIN: Scope = { clusters: 2, maxEpoch: 3, late: 0, deaths: false, fences: 'none', siblings: false }

/** Far above what is needed: a model that grew is noticed before the memory is full. */
const MAX_STATES = 2_000_000

/** Searches a scope; what is not given is the smallest. */
export function run(scope: Partial<Scope>): Search {
  return search(protocol({ ...PLAIN, ...scope }), MAX_STATES)
}

/** The counterexample for people to read; empty: there is none. */
export function told({ counterexample }: Search): string {
  return counterexample ? [...counterexample.trace, `=> ${counterexample.broken}`].join('\n') : ''
}
