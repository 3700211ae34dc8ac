import t from 'tap'
import { runSeed } from './run.ts'
import { runTasks } from './workers.ts'

// Virtual time asks much of a processor; a busy machine is no failure.
t.setTimeout(1_200_000)

const SEEDS = 100

t.test(`${SEEDS} worlds with their faults: no rule is broken, and each has one holder again`, async t => {
  const failed: number[] = []
  const sum = { hours: 0, removals: 0 }
  const tasks = Array.from({ length: SEEDS }, (_, index) => index + 1).map(seed => ({
    kind: 'seed' as const,
    seed,
  }))
  await runTasks(tasks, (_task, done) => {
    if (done.kind !== 'seed') return
    const { seed, violations, virtualMs, handOvers } = done.result
    sum.hours += virtualMs / 3_600_000
    sum.removals += handOvers
    for (const { rule, text } of violations) t.fail(`SEED=${seed} npm run simulate: ${rule}: ${text}`)
    if (violations.length > 0) failed.push(seed)
  })
  const [first] = failed
  if (first !== undefined) {
    const { trace } = await runSeed(first, { trace: true })
    t.comment(trace.join('\n'))
  }
  t.comment(`${sum.hours.toFixed(0)} hours, ${sum.removals} times a cluster gave the tag up`)
  t.ok(sum.removals > SEEDS / 2, 'and much happened in them')
})

t.test('a seed replays exactly', async t => {
  const runs = [await runSeed(7, { trace: true }), await runSeed(7, { trace: true })]
  t.strictSame(runs[0]?.trace, runs[1]?.trace)
  t.ok((runs[0]?.trace.length ?? 0) > 20)
})
