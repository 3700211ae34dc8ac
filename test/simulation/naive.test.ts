import { setMaxListeners } from 'node:events'
import t from 'tap'
import { NAIVE_RULES } from './naive/rules.ts'
import { runSeed } from './run.ts'

/** Within so many seeds each wrong rule must have been caught, or the faults are too kind. */
const SEEDS = 60

// Virtual time asks much of a processor; a busy machine is no failure.
t.setTimeout(1_200_000)
setMaxListeners(0)
process.env['NODE_ENV'] = 'production'

for (const { name, catches, kinds, decide } of NAIVE_RULES) {
  t.test(`a decider that thinks "${name}" breaks ${catches.join(' or ')}`, async t => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violations } = await runSeed(seed, { decide, ...(kinds ? { kinds } : {}) })
      const caught = violations.find(({ rule }) => catches.includes(rule))
      if (!caught) continue
      t.comment(`seed ${seed}: ${caught.rule}: ${caught.text}`)
      return
    }
    t.fail(`not within ${SEEDS} seeds`)
  })
}
