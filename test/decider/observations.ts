import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import type { Test } from 'tap'
import { decide } from '../../decider/decide.ts'
import { NO_MEMORY } from '../../decider/memory.ts'
import type {
  ControlReading,
  FileReading,
  GitLabView,
  Memory,
  Observation,
  Outcomes,
  OwnCapacity,
  Plan,
  PoolConfig,
  PoolStatus,
  RunnerView,
  Word,
} from '../../decider/model.ts'
import { poolOf } from './cluster-truth.ts'

export const NAMES = ['a', 'b', 'c'] as const

/** Checks a property and says with which seed. `SEED=n` runs the same cases again, `RUNS=n` n times as many. */
export function check<T>(t: Test, property: fc.IProperty<T>, runs: number): void {
  const given = process.env['SEED']
  const seed = given === undefined ? randomInt(2 ** 31) : Number(given)
  const numRuns = runs * Number(process.env['RUNS'] ?? 1)
  t.comment(`SEED=${seed}`)
  fc.assert(property, { seed, numRuns })
  t.pass(`${numRuns} cases`)
}

interface Saying {
  kind: 'says'
  seqBy: number
  change: Partial<PoolStatus>
}

type FileMove = { kind: 'keep' } | { kind: 'absent' } | { kind: 'unreadable' } | Saying

/** One cycle as it may look, in terms that do not depend on any clock's zero. */
export interface Move {
  afterMs: number
  wallJumpMs: number
  readable: boolean
  files: readonly FileMove[]
  runners: readonly RunnerView[]
  own: OwnCapacity
  control:
    { kind: 'read'; pauseMs?: number; pin?: { to: string; forMs: number; force: boolean } } | { kind: 'unreadable' }
  wakes: Readonly<Record<string, Readonly<Record<number, number>>>>
  removalAgoMs: number | undefined
  publishAgoMs: number | undefined
  ownSeqAgoMs: number | undefined
  /** `seqBy`: how much newer than the own file is what was sent last. */
  ownWord: { seqBy: number; epoch: number; active: boolean } | undefined
}

const SERVER_ZERO_MS = 1_800_000_000_000

const often = <T>(value: T, arbitrary: fc.Arbitrary<T>, weight = 4) =>
  fc.oneof({ weight, arbitrary: fc.constant(value) }, { weight: 1, arbitrary })

const fileMove: fc.Arbitrary<FileMove> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<FileMove>({ kind: 'keep' }) },
  { weight: 1, arbitrary: fc.constantFrom<FileMove>({ kind: 'absent' }, { kind: 'unreadable' }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('says' as const),
      seqBy: often(1, fc.constantFrom(0, 2, -1)),
      change: fc.record(
        {
          digest: often('', fc.constant('another'), 40),
          epoch: fc.nat(4),
          active: fc.boolean(),
          available: fc.constantFrom(null, 0, 1, 4, 9),
          lastKnown: fc.constantFrom(0, 4),
          desired: fc.constantFrom(null, null, 4, 9),
          unknownForSeconds: fc.constantFrom(0, 599, 601),
          servingIds: fc.constantFrom([10, 20, 30], [11, 21, 31], [10, 11, 20, 21, 30, 31], []),
        },
        { requiredKeys: [] },
      ),
    }),
  },
)

const runnersOf = fc.tuple(
  ...[10, 11, 20, 21, 30, 31].map(id =>
    fc.record({
      id: fc.constant(id),
      cluster: often<string | null>(NAMES[Math.floor(id / 10) - 1] ?? null, fc.constant(null), 30),
      tagged: fc.boolean(),
      paused: often(false, fc.constant(true), 8),
      online: fc.constantFrom(true, true, false, null),
      contactedAtMs: fc.constantFrom(null, undefined, 1, 2, 3),
    }),
  ),
)

const own: fc.Arbitrary<OwnCapacity> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<OwnCapacity>({ known: false, why: 'test' }) },
  {
    weight: 4,
    arbitrary: fc.record({
      known: fc.constant(true as const),
      available: fc.constantFrom(0, 1, 4, 9),
      unknownPods: often(0, fc.constantFrom(1, 5)),
      total: fc.constantFrom(4, 9),
      desired: fc.constantFrom(null, 4),
      servingIds: fc.constantFrom([10], [10, 11], []),
    }),
  },
)

const ago = fc.constantFrom(undefined, 0, 10_000, 55_000, 55_001, 600_000)

export const move: fc.Arbitrary<Move> = fc.record({
  afterMs: often(10_000, fc.constantFrom(0, 1, 15_000, 20_000, 20_001, 60_000, 900_000), 6),
  wallJumpMs: often(0, fc.constantFrom(3_600_000, -3_600_000), 20),
  readable: often(true, fc.constant(false), 12),
  files: fc.tuple(fileMove, fileMove, fileMove),
  runners: runnersOf,
  own,
  control: fc.oneof(
    { weight: 8, arbitrary: fc.constant<Move['control']>({ kind: 'read' }) },
    { weight: 1, arbitrary: fc.constant<Move['control']>({ kind: 'unreadable' }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('read' as const), pauseMs: fc.constantFrom(-1, 0, 1, 15_000) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('read' as const),
        pin: fc.record({
          to: fc.constantFrom('a', 'b', 'z'),
          forMs: fc.constantFrom(0, 1, 60_000),
          force: fc.boolean(),
        }),
      }),
    },
  ),
  wakes: often<Move['wakes']>(
    {},
    fc.constantFrom<Move['wakes'][]>({ b: { 20: 1 } }, { b: { 20: 1, 21: 2 }, c: { 30: 2 } }),
  ),
  removalAgoMs: often(undefined, fc.constantFrom(0, 59_999, 60_000), 20),
  publishAgoMs: often<number | undefined>(0, ago, 6),
  ownSeqAgoMs: often<number | undefined>(0, ago, 6),
  ownWord: often<Move['ownWord']>(
    undefined,
    fc.record({ seqBy: fc.constantFrom(-1, 0, 1), epoch: fc.nat(6), active: fc.boolean() }),
    4,
  ),
})

/** A move and how many cycles it is made again, so that time passes over peers that go on speaking, or stay silent. */
export type Moves = readonly (readonly [Move, number])[]

export const moves: fc.Arbitrary<Moves> = fc.array(fc.tuple(move, often(1, fc.constantFrom(4, 9, 35))), {
  minLength: 1,
  maxLength: 14,
})

export interface Zeros {
  monotonicMs: number
  wallMs: number
}

/** The observations that a sequence of moves gives to `self`. */
export function observe(
  sequence: Moves,
  config: PoolConfig,
  zeros: Zeros = { monotonicMs: 5_000_000, wallMs: 1_700_000_000_000 },
): Observation[] {
  let elapsedMs = 0
  let wallMs = zeros.wallMs
  const files: Record<string, { reading: FileReading; seq: number; status: PoolStatus }> = Object.fromEntries(
    NAMES.map(name => [name, { reading: { kind: 'absent' as const }, seq: 100, status: firstStatus(name, config) }]),
  )
  const cycles = sequence.flatMap(([one, times]) => Array.from({ length: times }, () => one))
  return cycles.map(one => {
    elapsedMs += one.afterMs
    wallMs += one.afterMs + one.wallJumpMs
    const monotonicMs = zeros.monotonicMs + elapsedMs
    const serverMs = SERVER_ZERO_MS + elapsedMs
    for (const [index, name] of NAMES.entries()) {
      const file = files[name]
      const change = one.files[index]
      if (file && change) moveFile(file, change, config)
    }
    const since = (agoMs: number | undefined) => (agoMs === undefined ? undefined : monotonicMs - agoMs)
    const outcomes: Outcomes = {
      wakes: one.wakes,
      ...defined('removalSentServerMs', one.removalAgoMs === undefined ? undefined : serverMs - one.removalAgoMs),
      ...defined('lastPublishMonotonicMs', since(one.publishAgoMs)),
      ...defined('ownSeqPublishedMonotonicMs', since(one.ownSeqAgoMs)),
      ...(one.ownWord ? { ownWord: wordAfter(files[config.self]?.seq ?? 0, one.ownWord) } : {}),
    }
    const at = { monotonicMs, wallMs, own: one.own, outcomes }
    if (!one.readable) return { ...at, gitlab: { readable: false, why: 'test' } }
    const gitlab: GitLabView = {
      readable: true,
      serverMs,
      runners: one.runners,
      files: Object.fromEntries(NAMES.map(name => [name, files[name]?.reading ?? { kind: 'absent' }])),
      control: controlOf(one.control, serverMs),
    }
    return { ...at, gitlab }
  })
}

/** `decide` over all of them: the plan of each, and what was remembered before the last. */
export function decideAll(
  observations: readonly Observation[],
  config: PoolConfig,
): { plans: Plan[]; memories: Memory[] } {
  const plans: Plan[] = []
  const memories: Memory[] = []
  let memory = NO_MEMORY
  for (const seen of observations) {
    memories.push(memory)
    const plan = decide(seen, memory, config)
    plans.push(plan)
    memory = plan.next
  }
  return { plans, memories }
}

export const poolOfThree = (self: string) => poolOf(self, NAMES)

function firstStatus(name: string, { digest }: PoolConfig): PoolStatus {
  return {
    digest,
    epoch: 0,
    active: false,
    available: 4,
    total: 4,
    desired: null,
    lastKnown: 4,
    unknownForSeconds: 0,
    servingIds: [10 * (NAMES.indexOf(name as 'a') + 1)],
    reason: '',
  }
}

function moveFile(
  file: { reading: FileReading; seq: number; status: PoolStatus },
  change: FileMove,
  { digest }: PoolConfig,
): void {
  if (change.kind === 'keep') return
  if (change.kind === 'absent') file.reading = { kind: 'absent' }
  else if (change.kind === 'unreadable') file.reading = { kind: 'unreadable', why: 'test' }
  else {
    file.seq += change.seqBy
    file.status = { ...file.status, ...change.change, digest: change.change.digest === 'another' ? 'another' : digest }
    file.reading = { kind: 'read', seq: file.seq, status: file.status }
  }
}

function controlOf(control: Move['control'], serverMs: number): ControlReading {
  if (control.kind === 'unreadable') return { kind: 'unreadable', why: 'test' }
  const words = { by: 'kim', why: 'test' }
  const { pauseMs, pin } = control
  return {
    kind: 'read',
    control: {
      ...(pauseMs === undefined ? {} : { pause: { ...words, untilMs: serverMs + pauseMs } }),
      ...(pin === undefined ? {} : { pin: { ...words, to: pin.to, force: pin.force, untilMs: serverMs + pin.forMs } }),
    },
  }
}

function wordAfter(seq: number, { seqBy, ...claim }: NonNullable<Move['ownWord']>): Word {
  return { seq: seq + seqBy, ...claim }
}

function defined<Key extends string>(key: Key, value: number | undefined): Partial<Record<Key, number>> {
  return value === undefined ? {} : ({ [key]: value } as Partial<Record<Key, number>>)
}
