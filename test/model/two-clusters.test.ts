import t from 'tap'
import type { Scope, Variant } from './deciders.ts'
import { run, told } from './runs.ts'

t.test('two clusters never lose the last tag', t => {
  const scopes: [name: string, scope: Partial<Scope>][] = [
    ['nothing late', {}],
    ['late publishes and removals, deaths and returns, fencing', { late: 2, deaths: true, fences: 'late' }],
    ['two processes in one of them besides', { late: 2, deaths: true, siblings: true }],
  ]
  for (const [name, scope] of scopes) {
    const found = run(scope)
    t.equal(told(found), '', name)
    t.comment(`${name}: ${found.states} states, ${found.transitions} transitions`)
  }
  t.end()
})

t.test('without any one of the rules something is lost', t => {
  const variants: [name: string, scope: Partial<Scope> & { variant: Variant }][] = [
    ['yielding to the claim alone', { variant: 'claimAlone' }],
    ['no total order of claims', { variant: 'noTotalOrder' }],
    ['each decider’s own priorities in the claim', { variant: 'priorityInClaim' }],
    ['no read-back of the inactive file', { variant: 'noReadBack', late: 2 }],
    ['a capped clock as proof of life', { variant: 'cappedClock', deaths: true }],
    ['removals while a publish of ours may still land', { variant: 'noPatience', late: 1 }],
    ['no quarantine before a promotion', { variant: 'noQuarantine' }],
    ['a process that goes on to remove without the lease', { variant: 'noLease', siblings: true, late: 1 }],
  ]
  for (const [name, scope] of variants) {
    const found = run(scope)
    t.ok(found.counterexample, name)
    t.comment(`${name}: found after ${found.states} states\n${told(found)}`)
  }
  t.end()
})
