import t from 'tap'
import type { Scope, Variant } from './deciders.ts'
import { protocol } from './protocol.ts'
import { type Search, search } from './search.ts'

const PLAIN: Scope = { clusters: 2, maxEpoch: 3, late: 0, deaths: false, fences: false, siblings: false }
const MAX_STATES = 2_000_000

function run(scope: Partial<Scope>): Search {
  return search(protocol({ ...PLAIN, ...scope }), MAX_STATES)
}

function told({ counterexample }: Search): string {
  return counterexample ? [...counterexample.trace, `=> ${counterexample.broken}`].join('\n') : ''
}

t.test('the protocol never takes the last tag', t => {
  const scopes: [name: string, scope: Partial<Scope>][] = [
    ['2 clusters, nothing late', {}],
    ['2 clusters, late publishes and removals, deaths and returns, fencing', { late: 2, deaths: true, fences: true }],
    ['2 clusters, two processes in one of them besides', { late: 2, deaths: true, siblings: true }],
    ['3 clusters, nothing late', { clusters: 3 }],
    ['3 clusters, late publishes and removals', { clusters: 3, late: 1, maxEpoch: 2 }],
  ]
  for (const [name, scope] of scopes) {
    const found = run(scope)
    t.equal(told(found), '', name)
    t.comment(`${name}: ${found.states} states, ${found.transitions} transitions`)
  }
  t.end()
})

t.test('without any one of its rules it does', t => {
  const variants: [name: string, scope: Partial<Scope> & { variant: Variant }][] = [
    ['yielding to the claim alone', { variant: 'claimAlone' }],
    ['no total order of claims', { variant: 'noTotalOrder', clusters: 3 }],
    ['no read-back of the inactive file', { variant: 'noReadBack', late: 2 }],
    ['a capped clock as proof of life', { variant: 'cappedClock', deaths: true }],
    ['each decider’s own priorities in the claim', { variant: 'priorityInClaim', clusters: 3 }],
    ['removals while a publish of ours may still land', { variant: 'noPatience', late: 1 }],
    ['no quarantine before a promotion', { variant: 'noQuarantine' }],
    ['a process that goes on to remove without the lease', { variant: 'noLease', siblings: true, late: 1 }],
  ]
  for (const [name, scope] of variants) {
    const found = run(scope)
    t.ok(found.counterexample, name)
    t.comment(`${name}: after ${found.states} states\n${told(found)}`)
  }
  t.end()
})
