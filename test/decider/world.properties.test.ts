import fc from 'fast-check'
import t from 'tap'
import { timingOf } from '../../decider/timing.ts'
import { NAMES, check } from './observations.ts'
import type { Decider } from './real-decider.ts'
import { World } from './scenario.ts'

/** What may happen to a cluster, to its decider, or to what people wish. */
type Event =
  | { kind: 'pods'; to: number | null }
  | { kind: 'crash' | 'death' | 'return' | 'cut' | 'untag' | 'tag' | 'file' }
  | { kind: 'publishing'; to: Decider['publishing'] }
  | { kind: 'removing'; to: Decider['removing'] }
  | { kind: 'waking'; to: Decider['waking'] }
  | { kind: 'pin'; force: boolean }
  | { kind: 'pause' | 'unwish' | 'outage' }

interface Happening {
  name: (typeof NAMES)[number]
  event: Event
  /** Cycles until the next one. */
  cycles: number
}

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pods' as const), to: fc.constantFrom(null, 0, 1, 4, 9) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('crash' as const, 'death', 'return', 'cut', 'untag', 'tag', 'file'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('publishing' as const),
      to: fc.constantFrom('works' as const, 'fails', 'ambiguous'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('removing' as const),
      to: fc.constantFrom('works' as const, 'expires', 'lost'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('waking' as const), to: fc.constantFrom('works' as const, 'fails') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pin' as const), force: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('pause' as const, 'unwish', 'outage') }) },
)

const happenings: fc.Arbitrary<Happening[]> = fc.array(
  fc.record({ name: fc.constantFrom(...NAMES), event, cycles: fc.constantFrom(0, 1, 2, 5, 8, 15, 40) }),
  { maxLength: 25 },
)

function happen(world: World, { name, event }: Happening): void {
  const cluster = world.cluster(name)
  const decider = deciderOf(world, name)
  switch (event.kind) {
    case 'pods':
      cluster.pods = event.to
      break
    case 'crash':
      decider.restarts()
      break
    case 'death':
      decider.running = false
      cluster.answers = false
      break
    case 'return':
      if (!decider.running) decider.restarts()
      decider.running = true
      decider.cutOff = false
      cluster.answers = true
      break
    case 'cut':
      decider.cutOff = !decider.cutOff
      break
    case 'untag':
      // People may take a tag away, but not the last one: that is theirs to mend.
      if (world.holders.some(holder => holder !== name)) cluster.untag()
      break
    case 'tag':
      cluster.tag()
      break
    case 'file':
      cluster.file = { kind: 'absent' }
      break
    case 'publishing':
      decider.publishing = event.to
      break
    case 'removing':
      decider.removing = event.to
      break
    case 'waking':
      decider.waking = event.to
      break
    case 'pin':
      world.pin(name, { forSeconds: 600, force: event.force })
      break
    case 'pause':
      world.pause(300)
      break
    case 'unwish':
      world.wish({})
      break
    case 'outage':
      world.gitlabDown = !world.gitlabDown
  }
}

function deciderOf(world: World, name: string): Decider {
  const decider = world.deciders.find(({ cluster }) => cluster.name === name)
  if (!decider) throw new Error(`no decider in ${name}`)
  return decider
}

/** One cycle of everybody, in which nobody may take the tag from the last holder, nor choose an epoch that is taken. */
function watch(world: World): void {
  const before = new Set(world.holders)
  const epochs = new Map(NAMES.map(name => [name, world.cluster(name).status?.epoch ?? 0]))
  const adminless = before.size > 0
  world.step(10)
  if (adminless && world.holders.length === 0) throw new Error(`at ${world.nowMs / 1000} s nobody holds any more`)
  for (const decider of world.deciders) {
    const { cluster } = decider
    if (!decider.running || decider.promotes === undefined) continue
    const was = epochs.get(cluster.name as 'a') ?? 0
    const is = cluster.status?.epoch ?? 0
    if (is < was) throw new Error(`the epoch of ${cluster.name} fell from ${was} to ${is}`)
  }
}

function calm(world: World): void {
  world.gitlabDown = false
  world.wish({})
  for (const decider of world.deciders) {
    if (!decider.running) decider.restarts()
    Object.assign(decider, { running: true, cutOff: false, publishing: 'works', removing: 'works', waking: 'works' })
    decider.cluster.answers = true
  }
}

t.test('whatever happens, no decider takes the last tag, and in the end one strong cluster holds alone', t => {
  const { deadAfterMs, unknownForMs, preferForMs, holdMinMs, settleMs } = timingOf('balanced')
  const settledSeconds = (deadAfterMs + unknownForMs + preferForMs + holdMinMs + settleMs) / 1000 + 300
  const property = fc.property(happenings, fc.tuple(...NAMES.map(() => fc.constantFrom(1, 4, 9))), (script, pods) => {
    const world = new World(NAMES, 2)
    for (const name of NAMES) world.decider(name)
    for (const one of script) {
      happen(world, one)
      for (let cycle = 0; cycle < one.cycles; cycle++) watch(world)
    }
    calm(world)
    for (const [index, name] of NAMES.entries()) world.cluster(name).pods = pods[index] ?? 1
    for (let seconds = 0; seconds < settledSeconds; seconds += 10) watch(world)

    const [holder = 'nobody', ...others] = world.holders
    if (others.length > 0) throw new Error(`${holder} and ${others.join(', ')} hold`)
    if (world.cluster(holder).taggedIds.length !== 2) throw new Error(`${holder} holds with a part of its runners`)
    const [own, best] = [world.cluster(holder).pods ?? 0, Math.max(...pods)]
    if (best >= own + Math.max(1, Math.ceil(own * 0.2))) throw new Error(`${own} pods hold, ${best} were there`)
    const steps = world.deciders.map(decider => decider.plans.length)
    for (let seconds = 0; seconds < 600; seconds += 10) watch(world)
    const late = world.deciders.flatMap((decider, index) => decider.steps(steps[index]))
    if (late.length > 0) throw new Error(`still moving: ${late.join(', ')}`)
  })
  check(t, property, 12)
  t.end()
})

t.test('preference moves keep the minimum hold, however often the scores change', t => {
  const swings = fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(1, 4, 9), fc.constantFrom(3, 35, 95)), {
    maxLength: 40,
  })
  let moves = 0
  const property = fc.property(swings, changes => {
    const world = new World(NAMES)
    for (const name of NAMES) world.decider(name)
    for (const [name, pods, cycles] of changes) {
      world.cluster(name).pods = pods
      for (let cycle = 0; cycle < cycles; cycle++) watch(world)
    }
    const times = world.deciders
      .flatMap(({ plans }) => plans.filter(({ plan }) => plan.step.kind === 'promote' && plan.step.cause === 'prefer'))
      .map(({ atMs }) => atMs)
      .sort((a, b) => a - b)
    moves += times.length
    for (const [index, atMs] of times.entries()) {
      if (index > 0 && atMs - (times[index - 1] ?? 0) < 900_000) throw new Error('two moves within the minimum hold')
    }
  })
  check(t, property, 15)
  t.ok(moves > 0, `${moves} moves`)
  t.end()
})
