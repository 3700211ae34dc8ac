import t from 'tap'
import type { Scope } from './deciders.ts'
import { run, told } from './runs.ts'

t.test('three clusters never lose the last tag', t => {
  const scopes: [name: string, scope: Partial<Scope>][] = [
    ['nothing late', {}],
    ['late publishes and removals', { late: 1, maxEpoch: 2 }],
    ['late removals, deaths and returns, fencing', { deaths: true, fences: 'prompt', maxEpoch: 2 }],
  ]
  for (const [name, scope] of scopes) {
    const found = run({ clusters: 3, ...scope })
    t.equal(told(found), '', name)
    t.comment(`${name}: ${found.states} states, ${found.transitions} transitions`)
  }
  t.end()
})
