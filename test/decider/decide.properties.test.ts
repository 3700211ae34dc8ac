import fc from 'fast-check'
import t from 'tap'
import { decide } from '../../decider/decide.ts'
import { NO_MEMORY } from '../../decider/memory.ts'
import type { Memory, Observation, Plan, Step } from '../../decider/model.ts'
import { viewRunner } from '../../decider/pool.ts'
import { poolOf } from './cluster-truth.ts'
import { type Moves, NAMES, check, decideAll, moves, observe, poolOfThree } from './observations.ts'

const config = poolOfThree('a')

/** Every observation of a sequence with what was remembered before it. */
function cycles(sequence: Moves): { seen: Observation; memory: Memory }[] {
  const observations = observe(sequence, config)
  const { memories } = decideAll(observations, config)
  return observations.map((seen, index) => ({ seen, memory: memories[index] ?? NO_MEMORY }))
}

/** Runners that lose the tag: the own ones and the fenced ones. */
function losers(step: Step): number[] {
  if (step.kind === 'demote') return [...step.removeIds]
  return step.kind === 'tend' ? step.fence.flatMap(({ runnerIds }) => runnerIds) : []
}

/** A plan without what it remembers, lists in no order. */
function essence({ state, step, publish, probes, alerts }: Plan): unknown {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, sorted(inner)]))
  }
  return sorted({ state, step, publish, probes, alerts })
}

const OWN_FILE = 'the file of a'

/** The own file says what this process has not read before: an older reading cannot stand in for it. */
function isNews({ gitlab }: Observation, { ownStatus }: Memory): boolean {
  const file = gitlab.readable ? gitlab.files['a'] : undefined
  return file?.kind === 'read' && (file.status.active !== ownStatus?.active || file.status.epoch !== ownStatus.epoch)
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    Object.values(value).forEach(freeze)
  }
  return value
}

function same(actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (a !== b) throw new Error(`${a}\nis not\n${b}`)
}

t.test('it never throws, changes nothing that it is given, and decides the same on the same', t => {
  const property = fc.property(moves, sequence => {
    const observations = freeze(observe(sequence, config))
    const frozen = freeze(config)
    let memory = freeze(NO_MEMORY)
    for (const seen of observations) {
      const plan = freeze(decide(seen, memory, frozen))
      same(decide(seen, memory, frozen), plan)
      memory = plan.next
    }
  })
  check(t, property, 40)
  t.end()
})

t.test('a decision can be replayed from its record: all of it survives JSON', t => {
  const property = fc.property(moves, sequence => {
    for (const cycle of cycles(sequence)) {
      const record = { ...cycle, config }
      const copy = JSON.parse(JSON.stringify(record)) as typeof record
      same(decide(copy.seen, copy.memory, copy.config), decide(cycle.seen, cycle.memory, config))
    }
  })
  check(t, property, 40)
  t.end()
})

t.test('the zero of a clock is of no account, neither the monotonic one nor the wall’s', t => {
  const zeros = fc.constantFrom(0, 1, 86_400_000 * 365, 4_000_000_000_000)
  const property = fc.property(moves, zeros, zeros, (sequence, monotonicMs, wallMs) => {
    const plain = decideAll(observe(sequence, config), config).plans
    const moved = decideAll(observe(sequence, config, { monotonicMs, wallMs }), config).plans
    same(moved.map(essence), plain.map(essence))
  })
  check(t, property, 30)
  t.end()
})

t.test('the order of the runners is of no account', t => {
  const property = fc.property(moves, fc.array(fc.nat(5), { minLength: 6, maxLength: 6 }), (sequence, keys) => {
    const shuffled: Moves = sequence.map(([one, times]) => {
      const order = new Map(one.runners.map((runner, index) => [runner, keys[index] ?? 0]))
      const runners = [...one.runners].sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0))
      return [{ ...one, runners }, times]
    })
    same(
      decideAll(observe(shuffled, config), config).plans.map(essence),
      decideAll(observe(sequence, config), config).plans.map(essence),
    )
  })
  check(t, property, 30)
  t.end()
})

t.test('what is known turning unknown never removes nor fences more', t => {
  type Blur = (seen: Observation) => Observation
  const inView =
    (change: (view: Extract<Observation['gitlab'], { readable: true }>) => object): Blur =>
    seen =>
      seen.gitlab.readable ? { ...seen, gitlab: { ...seen.gitlab, ...change(seen.gitlab) } } : seen
  const inFile =
    (name: string, change: (status: object) => object): Blur =>
    seen =>
      inView(view => {
        const file = view.files[name]
        if (file?.kind !== 'read') return {}
        return { files: { ...view.files, [name]: { ...file, status: change(file.status) } } }
      })(seen)
  const blurs: Record<string, Blur> = {
    GitLab: seen => ({ ...seen, gitlab: { readable: false, why: 'test' } }),
    'the own number': seen => ({ ...seen, own: { known: false, why: 'test' } }),
    'all own pods': seen =>
      seen.own.known ? { ...seen, own: { ...seen.own, available: 0, unknownPods: seen.own.available + 1 } } : seen,
    'contact times': inView(view => ({ runners: view.runners.map(one => ({ ...one, contactedAtMs: undefined })) })),
    'who is online': inView(view => ({ runners: view.runners.map(one => ({ ...one, online: null })) })),
    'whose seq the own file shows': seen => {
      const { wakes, lastPublishMonotonicMs } = seen.outcomes
      const outcomes = lastPublishMonotonicMs === undefined ? { wakes } : { wakes, lastPublishMonotonicMs }
      return { ...seen, outcomes }
    },
    ...Object.fromEntries(
      NAMES.slice(1).map(name => [`the number of ${name}`, inFile(name, status => ({ ...status, available: null }))]),
    ),
    ...Object.fromEntries(
      NAMES.map(name => [
        `the file of ${name}`,
        inView(view => ({ files: { ...view.files, [name]: { kind: 'unreadable', why: 'test' } } })),
      ]),
    ),
  }
  let removals = 0
  for (const [name, blur] of Object.entries(blurs)) {
    const property = fc.property(moves, sequence => {
      for (const { seen, memory } of cycles(sequence)) {
        const clear = decide(seen, memory, config)
        // A file that shows another configuration is what holds everything back: hidden, it cannot.
        if (clear.state === 'CONFIG_MISMATCH' || (name === OWN_FILE && isNews(seen, memory))) continue
        const before = losers(clear.step)
        removals += before.length
        const blurred = decide(blur(seen), memory, config).step
        // Who would have yielded and does not, serves on, and may fence the dead.
        if (clear.step.kind === 'demote' && blurred.kind === 'tend') continue
        const more = losers(blurred).filter(id => !before.includes(id))
        if (more.length > 0) throw new Error(`${more.join(', ')} would lose the tag`)
      }
    })
    t.test(name, t => {
      check(t, property, 30)
      t.end()
    })
  }
  t.ok(removals > 0, `${removals} removals and fences`)
  t.end()
})

t.test('more own pods never turn a promotion into nothing', t => {
  let promotions = 0
  const property = fc.property(moves, fc.integer({ min: 1, max: 50 }), (sequence, more) => {
    for (const { seen, memory } of cycles(sequence)) {
      const { step } = decide(seen, memory, config)
      if (step.kind !== 'promote' || !seen.own.known || seen.own.available < 1) continue
      promotions++
      const own = { ...seen.own, available: seen.own.available + more, total: seen.own.total + more }
      same(decide({ ...seen, own }, memory, config).step.kind, 'promote')
    }
  })
  check(t, property, 40)
  t.ok(promotions > 0, `${promotions} promotions`)
  t.end()
})

t.test('tags that belong to nobody here are of no account', t => {
  const tags = fc.array(fc.constantFrom('runner-a', 'runner-b', 'rnd-runner', 'linux', 'gpu', 'runner', 'rnd'))
  const property = fc.property(tags, fc.string({ minLength: 1 }), (own, other) => {
    const pool = poolOf('a')
    const runner = (list: readonly string[]) =>
      viewRunner(
        { id: 1, description: null, paused: false, online: true, tags: list, locked: false, contactedAtMs: 5 },
        true,
        pool,
      )
    const strange = ['runner-a', 'runner-b', 'rnd-runner'].includes(other) ? `x${other}` : other
    same(runner([...own.map(tag => (tag === 'linux' ? strange : tag)), strange]), runner(own))
    same(runner([...own].reverse()), runner(own))
  })
  check(t, property, 300)
  t.end()
})
