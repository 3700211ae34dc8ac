import fc from 'fast-check'
import t from 'tap'
import {
  type Demand,
  type FleetCapacity,
  type FleetMemory,
  type FleetRules,
  type Motive,
  NO_FLEET_MEMORY,
  desired,
} from '../../../decider/fleet/desired.ts'

const RULES: FleetRules = {
  min: 1,
  max: 10,
  standby: 1,
  spare: 2,
  growBy: 3,
  windowMs: 300_000,
  stepMs: 60_000,
}
const AT_MS = 1_000_000
const CAPACITY: FleetCapacity = { atMs: AT_MS, role: 'active', replicas: 4, idle: 4, slots: 10, inherited: null }
/** As after a calm time: the window holds nothing but what was needed long ago. */
const calm = (role: 'active' | 'standby' = 'active'): FleetMemory => ({
  ...NO_FLEET_MEMORY,
  role,
  needs: [{ atMs: AT_MS - 299_999, replicas: 1 }],
})
const jobs = (running: number, pending = 0, whole = true): Demand => ({ running, pending, whole })

interface Row {
  demand: Demand
  capacity?: Partial<FleetCapacity>
  rules?: Partial<FleetRules>
  previous?: FleetMemory
  gives: number | null
  motive: Motive
}

const TABLE: Readonly<Record<string, Row>> = {
  'running, pending and spare jobs over slots, rounded up': { demand: jobs(20, 19), gives: 5, motive: 'grow' },
  'what is there stays when it is what is needed': { demand: jobs(30, 8), gives: 4, motive: 'steady' },
  'slots of the configuration win over those that managers tell': {
    demand: jobs(6),
    rules: { slots: 2 },
    gives: 4,
    motive: 'steady',
  },
  'never more than max': { demand: jobs(0, 500), capacity: { replicas: 9 }, gives: 10, motive: 'grow' },
  'never more than a growth step at once': { demand: jobs(0, 500), gives: 7, motive: 'grow' },
  'up to min at once, whatever the step': {
    demand: jobs(0),
    rules: { min: 9 },
    gives: 9,
    motive: 'grow',
  },
  'one manager is given up after a calm window': { demand: jobs(0), previous: calm(), gives: 3, motive: 'shrink' },
  'the need of a moment ago counts': {
    demand: jobs(0),
    previous: { ...calm(), needs: [{ atMs: AT_MS - 10_000, replicas: 4 }] },
    gives: 4,
    motive: 'window',
  },
  'after a start nothing is given up before the window has passed': { demand: jobs(0), gives: 4, motive: 'window' },
  'one at a time': {
    demand: jobs(0),
    previous: { ...calm(), loweredMs: AT_MS - 59_999 },
    gives: 4,
    motive: 'step',
  },
  'no manager is given up while all have jobs': {
    demand: jobs(4),
    capacity: { idle: 0 },
    previous: calm(),
    gives: 4,
    motive: 'busy',
  },
  'an unknown demand holds': { demand: jobs(0, 0, false), previous: calm(), gives: 4, motive: 'held' },
  'a demand known in part raises': { demand: jobs(60, 0, false), gives: 7, motive: 'grow' },
  'unknown slots hold': { demand: jobs(0), capacity: { slots: null }, previous: calm(), gives: 4, motive: 'held' },
  'slots that were known once stand in': {
    demand: jobs(0),
    capacity: { slots: null },
    previous: { ...calm(), slots: 10 },
    gives: 3,
    motive: 'shrink',
  },
  'an unknown number of managers changes nothing': {
    demand: jobs(99),
    capacity: { replicas: null },
    gives: null,
    motive: 'unknown',
  },
  'the number of before stands in for an unknown one': {
    demand: jobs(38),
    capacity: { replicas: null },
    previous: { ...calm(), replicas: 4 },
    gives: 4,
    motive: 'steady',
  },
  'a standby keeps its warm number': {
    demand: jobs(0),
    capacity: { role: 'standby', replicas: 1 },
    rules: { standby: 2 },
    previous: calm('standby'),
    gives: 2,
    motive: 'grow',
  },
  'a standby keeps no spare slots': {
    demand: jobs(10),
    capacity: { role: 'standby', replicas: 1 },
    previous: calm('standby'),
    gives: 1,
    motive: 'steady',
  },
  'a promoted standby jumps to what the one before had': {
    demand: jobs(0),
    capacity: { replicas: 1, inherited: 8 },
    previous: calm('standby'),
    gives: 8,
    motive: 'jump',
  },
  'the jump ends at max': {
    demand: jobs(0),
    capacity: { replicas: 1, inherited: 80 },
    previous: calm('standby'),
    gives: 10,
    motive: 'jump',
  },
  'the jump needs no known demand': {
    demand: jobs(0, 0, false),
    capacity: { replicas: 1, inherited: 6 },
    previous: calm('standby'),
    gives: 6,
    motive: 'jump',
  },
  'who served already does not jump': {
    demand: jobs(0),
    capacity: { replicas: 1, inherited: 8 },
    previous: calm(),
    gives: 1,
    motive: 'steady',
  },
  'above max it goes down one at a time': {
    demand: jobs(0),
    capacity: { replicas: 14 },
    previous: calm(),
    gives: 13,
    motive: 'shrink',
  },
}

for (const [name, row] of Object.entries(TABLE)) {
  t.test(name, t => {
    const capacity = { ...CAPACITY, ...row.capacity }
    const { replicas, motive } = desired(row.demand, capacity, { ...RULES, ...row.rules }, row.previous)
    t.same({ replicas, motive }, { replicas: row.gives, motive: row.motive })
    t.end()
  })
}

const rules = fc
  .record({
    min: fc.integer({ min: 1, max: 20 }),
    more: fc.integer({ min: 0, max: 80 }),
    standby: fc.integer({ min: 1, max: 100 }),
    spare: fc.integer({ min: 0, max: 20 }),
    growBy: fc.integer({ min: 1, max: 20 }),
    slots: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined }),
  })
  .map(({ min, more, standby, slots, ...rest }) => ({
    ...rest,
    min,
    max: min + more,
    standby: Math.min(standby, min + more),
    windowMs: 300_000,
    stepMs: 60_000,
    ...(slots === undefined ? {} : { slots }),
  }))
const count = fc.integer({ min: 0, max: 1000 })
const demands = fc.record({ running: count, pending: count, whole: fc.boolean() })
const roles = fc.constantFrom('active' as const, 'standby' as const)
const looks = fc.record({
  passedMs: fc.integer({ min: 0, max: 400_000 }),
  demand: demands,
  role: roles,
  idle: fc.integer({ min: 0, max: 5 }),
  slots: fc.option(fc.integer({ min: 1, max: 50 })),
  inherited: fc.option(fc.integer({ min: 0, max: 200 })),
})

/** Plays looks one after the other; each plan is carried out before the next. */
function play(
  given: FleetRules,
  start: number,
  story: readonly (typeof looks extends fc.Arbitrary<infer Look> ? Look : never)[],
) {
  let memory = NO_FLEET_MEMORY
  let replicas = start
  let atMs = 0
  return story.map(({ passedMs, demand, ...capacity }) => {
    atMs += passedMs
    const before = { replicas, memory, atMs, demand, ...capacity }
    const plan = desired(demand, { ...capacity, atMs, replicas }, given, memory)
    memory = plan.next
    replicas = plan.replicas ?? replicas
    return { before, plan }
  })
}

const stories = fc.tuple(rules, fc.integer({ min: 1, max: 120 }), fc.array(looks, { minLength: 1, maxLength: 40 }))

t.test('any story keeps to the bounds, the steps, the window and the unknown', t => {
  fc.assert(
    fc.property(stories, ([given, start, story]) => {
      const played = play(given, start, story)
      let loweredMs = -Infinity
      for (const [index, { before, plan }] of played.entries()) {
        const { replicas } = plan
        if (replicas === null) return false
        const floor = before.role === 'active' ? given.min : given.standby
        if (replicas < Math.min(floor, before.replicas) || replicas > Math.max(given.max, before.replicas)) return false
        if (before.replicas < floor && replicas < floor) return false
        const jumps = before.memory.role === 'standby' && before.role === 'active' && before.inherited !== null
        const limit = Math.max(before.replicas + given.growBy, floor, jumps ? (before.inherited ?? 0) : 0)
        if (replicas > limit) return false
        if (replicas < before.replicas) {
          if (replicas !== before.replicas - 1 || before.idle === 0 || !before.demand.whole) return false
          if (before.atMs - loweredMs < given.stepMs) return false
          loweredMs = before.atMs
          const window = played.slice(0, index + 1).filter(each => each.before.atMs > before.atMs - given.windowMs)
          // Within the window the demand was always known, and never needed what is given up now.
          for (const each of window) {
            if (!each.before.demand.whole) return false
            const slots = given.slots ?? each.plan.next.slots
            if (slots === null) return false
            const spare = each.before.role === 'active' ? given.spare : 0
            const { running, pending } = each.before.demand
            const needed = Math.min(given.max, Math.ceil((running + pending + spare) / slots))
            if (needed >= before.replicas) return false
          }
          if (before.atMs < given.windowMs) return false
        }
      }
      return true
    }),
    { numRuns: 2000 },
  )
  t.end()
})

t.test('more demand never gives fewer managers', t => {
  fc.assert(
    fc.property(stories, count, count, ([given, start, story], running, pending) => {
      const last = play(given, start, story).at(-1)
      if (!last) return false
      const { memory, replicas, demand, ...capacity } = last.before
      const more = { ...demand, running: demand.running + running, pending: demand.pending + pending }
      const plan = desired(more, { ...capacity, replicas }, given, memory)
      return (plan.replicas ?? -1) >= (last.plan.replicas ?? -1)
    }),
    { numRuns: 2000 },
  )
  t.end()
})

t.test('the memory stays small however often it is asked', t => {
  let memory = NO_FLEET_MEMORY
  for (let turn = 0; turn < 5000; turn++) {
    const demand = jobs(turn % 97, turn % 13)
    memory = desired(demand, { ...CAPACITY, atMs: turn * 1000 }, RULES, memory).next
  }
  t.ok(memory.needs.length <= RULES.max + 1, `${memory.needs.length} entries`)
  t.end()
})
