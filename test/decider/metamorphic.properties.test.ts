import fc from 'fast-check'
import t from 'tap'
import { decide } from '../../decider/decide.ts'
import type { Observation, Plan } from '../../decider/model.ts'
import { NAMES, check, decideAll, moves, observe, poolOfThree } from './observations.ts'

const config = poolOfThree('b')

/** The same data with every text and key that is one of `from` as the one of `to`. */
function renamed<T>(data: T, from: readonly string[], to: readonly string[]): T {
  const nameOf = (text: string) => to[from.indexOf(text)] ?? text
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string') return nameOf(value)
    if (Array.isArray(value)) return value.map(walk)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [nameOf(key), walk(inner)]))
  }
  return walk(data) as T
}

/** What a plan does, without the sentences for people, which name the clusters. */
function essence({ state, step, publish, probes, alerts }: Plan): string {
  return JSON.stringify({ state, step, publish, probes, alerts })
}

t.test('the clusters’ names are of no account but for their order', t => {
  // With a digit at its end none is a word of ours, nor the cluster that does not exist.
  const others = fc
    .uniqueArray(fc.stringMatching(/^[d-z][a-z0-9-]{0,8}[0-9]$/), { minLength: 3, maxLength: 3 })
    .map(names => names.sort())
  const property = fc.property(moves, others, (sequence, names) => {
    const observations = observe(sequence, config)
    const plain = decideAll(observations, config).plans.map(essence)
    const strange = decideAll(renamed(observations, NAMES, names), renamed(config, NAMES, names)).plans
    const back = strange.map(plan => essence(renamed(plan, names, NAMES)))
    if (JSON.stringify(back) !== JSON.stringify(plain)) throw new Error(`${names.join()} decide otherwise`)
  })
  check(t, property, 30)
  t.end()
})

/** What is seen when all that was planned came true at once. */
function applied(seen: Observation, { step, publish }: Plan): Observation {
  const { gitlab } = seen
  if (!gitlab.readable) return seen
  const added = step.kind === 'tend' || step.kind === 'promote' ? step.addIds : []
  const fenced = step.kind === 'tend' ? step.fence.flatMap(({ runnerIds }) => runnerIds) : []
  const removed = step.kind === 'demote' ? step.removeIds : fenced
  const status = 'status' in step ? step.status : publish
  const before = gitlab.files[config.self]
  const seq = before?.kind === 'read' ? before.seq + 1 : 1
  const runners = gitlab.runners.map(runner => ({
    ...runner,
    tagged: (runner.tagged || added.includes(runner.id)) && !removed.includes(runner.id),
  }))
  const files = status ? { ...gitlab.files, [config.self]: { kind: 'read' as const, seq, status } } : gitlab.files
  return { ...seen, gitlab: { ...gitlab, runners, files } }
}

t.test('S8: as plans come true, nothing is left to do after a few', t => {
  let steps = 0
  const property = fc.property(moves, sequence => {
    const observations = observe(sequence, config)
    for (const [index, plan] of decideAll(observations, config).plans.entries()) {
      let seen = observations[index]
      let latest = plan
      const kinds: string[] = []
      // A claim, its tags, then the fencing that needs both; or a claim and its end at once.
      while (seen && latest.step.kind !== 'none' && kinds.length < 4) {
        steps++
        kinds.push(latest.step.kind)
        seen = applied(seen, latest)
        latest = decide(seen, latest.next, config)
      }
      if (latest.step.kind !== 'none') throw new Error(`${kinds.join()}, then ${JSON.stringify(latest.step)}`)
    }
  })
  check(t, property, 40)
  t.ok(steps > 0, `${steps} steps`)
  t.end()
})
