import { randomInt } from 'node:crypto'
import t from 'tap'
import { poolsOf, readDeciderConfig } from '../../../decider/config.ts'
import { desired, type FleetRules, NO_FLEET_MEMORY } from '../../../decider/fleet/desired.ts'
import { situationOf } from '../../../decider/fleet/situation.ts'
import { expectedPods } from '../../../decider/observe/capacity.ts'
import { createRandom } from '../../support/random.ts'
import { World } from '../scenario.ts'
import type { Decider } from '../real-decider.ts'

const SEED = Number(process.env['SEED'] ?? randomInt(2 ** 31))

const RULES: FleetRules = {
  min: 1,
  max: 12,
  standby: 3,
  spare: 1,
  growBy: 3,
  windowMs: 300_000,
  stepMs: 60_000,
  slots: 2,
}

interface Variant {
  strength: 'health' | 'count'
  /** Pods that were only just asked for are not held against the cluster. */
  patient: boolean
}

/** A cluster whose managers follow the demand, as its decider sees it; pods take up to half an hour to be there. */
function createScaled(decider: Decider, random: () => number, { patient }: Variant) {
  let memory = NO_FLEET_MEMORY
  let wanted = 2
  let readyAtMs: number[] = [0, 0]
  let expected: number | undefined
  return {
    look(nowMs: number, jobs: number): void {
      const last = decider.plans.at(-1)
      if (last) {
        const { plan, seen } = last
        const decision = {
          pool: 'rnd',
          config: decider.config,
          atMs: nowMs,
          seen,
          previous: plan.next,
          plan,
          deeds: [],
          durationMs: 0,
        }
        const situation = situationOf(decision)
        if (!situation) return
        const { role, inherited } = situation
        const demand = { running: role === 'active' ? jobs : 0, pending: 0, whole: random() < 0.95 }
        const planned = desired(
          demand,
          { atMs: nowMs, role, replicas: wanted, idle: 1, slots: 2, inherited },
          RULES,
          memory,
        )
        memory = planned.next
        wanted = planned.replicas ?? wanted
      }
      while (readyAtMs.length < wanted) readyAtMs.push(nowMs + random() * (random() < 0.2 ? 1_800_000 : 60_000))
      readyAtMs = readyAtMs.toSorted((a, b) => a - b).slice(0, wanted)
      const available = readyAtMs.filter(atMs => atMs <= nowMs).length
      expected = expectedPods(expected, wanted, available)
      decider.cluster.capacity = {
        known: true,
        available,
        unknownPods: 0,
        total: wanted,
        desired: patient ? expected : wanted,
        servingIds: decider.cluster.runners.map(({ id }) => id),
        updating: false,
      }
    },
    get wanted() {
      return wanted
    },
  }
}

/** A day of load that comes and goes; how often the main tag moved, and between which sizes the active fleet was. */
function play(seed: number, variant: Variant) {
  const random = createRandom(seed)
  const world = new World(['a', 'b'])
  const deciders = ['a', 'b'].map(name => world.decider(name, { strength: variant.strength }))
  const fleets = deciders.map(decider => createScaled(decider, random, variant))
  world.cluster('a').tag()
  let jobs = 0
  const sizes: number[] = []
  for (let step = 0; step < 4320; step++) {
    if (random() < 0.01) jobs = Math.floor(random() * 24)
    for (const fleet of fleets) fleet.look(world.nowMs, jobs)
    world.step(20)
    sizes.push(fleets[0]?.wanted ?? 0)
  }
  const moves = deciders.flatMap(decider =>
    decider.plans.filter(({ plan, atMs }) => plan.step.kind === 'promote' && atMs > 600_000),
  )
  return { moves: moves.length, holders: world.holders, least: Math.min(...sizes), most: Math.max(...sizes) }
}

t.test('scaling up and down for a day, also with pods that are long in coming, moves nothing', t => {
  t.comment(`SEED=${SEED}`)
  for (let run = 0; run < 3; run++) {
    const { moves, holders, least, most } = play(SEED + run, { strength: 'health', patient: true })
    t.equal(moves, 0, `seed ${SEED + run}`)
    t.same(holders, ['a'])
    t.ok(least <= 2 && most >= 9, `from ${least} to ${most} managers`)
  }
  t.end()
})

t.test('by the number of pods, and with new pods held against the cluster, scaling would move it', t => {
  // Not every day has a load that does it: these are always the same days.
  const moves = (variant: Variant) => [1, 2, 3, 4].reduce((sum, seed) => sum + play(seed, variant).moves, 0)
  t.ok(moves({ strength: 'count', patient: true }) > 0, 'count')
  t.ok(moves({ strength: 'health', patient: false }) > 0, 'impatient')
  t.end()
})

t.test('pods that were there and fail do count', t => {
  t.equal(expectedPods(undefined, 4, 1), 4, 'at first all that are asked for')
  t.equal(expectedPods(4, 10, 4), 4, 'new ones not before they are there')
  t.equal(expectedPods(4, 10, 7), 7)
  t.equal(expectedPods(7, 10, 3), 7, 'four of them failed')
  t.equal(expectedPods(7, 2, 2), 2, 'fewer are asked for')
  t.equal(expectedPods(2, 7, 2), 2)
  t.end()
})

t.test('a pool with a fleet has strength health, and all its deciders must agree on that', t => {
  const text = (fleet: string) => `
cluster: a
gitlab: {url: https://gitlab.example.com, group: 33, project: 101, tokenFile: /t}
prometheus: {url: http://prometheus:9090}
runners: {selector: app=runner}
pools:
  - mainTag: rnd-runner
    clusters: [{name: a, tag: runner-a}, {name: b, tag: runner-b}]
    ${fleet}
`
  const poolOf = (fleet: string) => {
    const result = readDeciderConfig(text(fleet))
    if (!result.ok) throw new Error(JSON.stringify(result.mistakes))
    const [pool] = poolsOf(result.config)
    if (!pool) throw new Error('no pool')
    return pool
  }
  t.equal(poolOf('fleet: {max: 4}').strength, 'health')
  t.equal(poolOf('fleet: {max: 4}').digest, poolOf('strength: health').digest)
  t.not(poolOf('fleet: {max: 4}').digest, poolOf('').digest)
  t.end()
})
