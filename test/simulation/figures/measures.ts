import { PROFILES } from '../../../decider/timing.ts'
import { MAIN_TAG } from '../world.ts'
import { CLUSTER, calmWorld, mustBeSafe, passed, planOf } from './worlds.ts'

/** One part of a figure: some numbers, from nothing but the part's own number. */
export type Measure = (part: number) => Promise<number[]>

export const HAND_OVERS_PER_PART = 500

function profileOf(name: string) {
  const profile = PROFILES.find(each => each === name)
  if (!profile) throw new Error(`no profile ${name}`)
  return profile
}

/** Seconds from a cluster's death until another one carries the main tag; the moment of death is by chance. */
async function deathToMove(profile: string, part: number): Promise<number[]> {
  const { world, safety } = await calmWorld(planOf(part, profileOf(profile), { graphql: part % 4 !== 0 }))
  const startMs = world.time.monotonicMs()
  let movedMs: number | undefined
  world.gitlab.state.onTagChange(({ after }) => {
    if (after.includes(MAIN_TAG)) movedMs ??= world.time.monotonicMs()
  })
  world.site('a').die()
  while (movedMs === undefined && world.time.monotonicMs() - startMs < 600_000) await passed(world, 1000)
  mustBeSafe(safety)
  world.close()
  if (movedMs === undefined) throw new Error(`seed ${part}: not moved within 10 min`)
  return [(movedMs - startMs) / 1000]
}

/** [hand-overs, gaps made by a decider]: pins send the main tag round and round while GitLab is healthy. */
async function handOvers(profile: string, part: number): Promise<number[]> {
  // With three a cluster's quarantine is over when its turn comes again.
  const clusters = ['a', 'b', 'c'].map((name, index) => ({
    ...CLUSTER,
    name,
    pods: 1 + (part % 2),
    tagged: index === 0,
  }))
  const { world, safety } = await calmWorld(planOf(part, profileOf(profile), { clusters, graphql: part % 4 !== 0 }))
  const until = new Date(world.time.wallMs() + 300 * 24 * 3_600_000).toISOString()
  for (let count = 1; count <= HAND_OVERS_PER_PART; count++) {
    const to = world.sites[count % world.sites.length]?.name ?? 'a'
    await world.control({ pin: { to, until, by: 'simulation', why: 'round and round' } })
    const moved = () => world.holders().has(to) && world.holders().size === 1
    const startMs = world.time.monotonicMs()
    while (!moved() && world.time.monotonicMs() - startMs < 300_000) await passed(world, 2000)
    if (!moved()) throw new Error(`seed ${part}: hand-over ${count} to ${to} did not come to an end`)
  }
  const result = [safety.handOvers, safety.selfInflictedGaps]
  mustBeSafe(safety)
  world.close()
  return result
}

/** [switches]: tag changes by deciders while something fails that must move nothing. */
async function disturbed(what: string, part: number): Promise<number[]> {
  const { world, safety } = await calmWorld(planOf(part, part % 2 === 0 ? 'balanced' : 'fast'))
  const { state, faults } = world.gitlab
  const before = state.tagHistory.length
  const random = world.random
  if (what === 'gitlab outage') {
    const lengths = [10, 60, 100, 300, 1000, 3600, 6 * 3600, 24 * 3600]
    const end = faults.outage(part % 2 === 0 ? { kind: 'reset' } : { kind: 'status', status: 502 })
    await passed(world, (lengths[part % lengths.length] ?? 60) * 1000)
    end()
  } else if (what === 'prometheus outage') {
    const sites = part % 3 === 0 ? world.sites : [world.site(part % 3 === 1 ? 'a' : 'b')]
    const kinds = ['down', 'empty', 'stuck', 'nan', 'partial', 'hang'] as const
    const kind = kinds[part % kinds.length] ?? 'down'
    const ends = sites.map(site => site.prometheus.fail(kind))
    await passed(world, 10_000 + random() * 585_000)
    for (const end of ends) end()
  } else {
    const [first = world.site('a'), second = world.site('b')] =
      part % 2 === 0 ? world.sites : [...world.sites].reverse()
    const atOnce = [1, 2, 3][part % 3] ?? 1
    await Promise.all([first.fleet.roll(atOnce), passed(world, 120_000)])
    await Promise.all([second.fleet.roll(atOnce), passed(world, 120_000)])
    for (const site of world.sites) await Promise.all([site.restart(2000 + random() * 20_000), passed(world, 120_000)])
  }
  await passed(world, 1_800_000)
  const changes = state.tagHistory.slice(before).filter(({ by }) => by.startsWith('token:'))
  mustBeSafe(safety)
  world.close()
  return [changes.length]
}

/** [calls per hour of decider a, tag writes] in a quiet time of `hours`. */
async function quiet(profile: string, runners: number, hours: number, graphql: boolean): Promise<number[]> {
  const pods = Math.max(1, runners / 2)
  const clusters = ['a', 'b'].map((name, index) => ({ ...CLUSTER, name, pods, tagged: index === 0 }))
  const { world, safety } = await calmWorld(planOf(1, profileOf(profile), { clusters, graphql }))
  const { state } = world.gitlab
  const calls = () => state.count({ caller: 'token:a' })
  const before = calls()
  const history = state.tagHistory.length
  await passed(world, hours * 3_600_000)
  mustBeSafe(safety)
  const result = [(calls() - before) / hours, state.tagHistory.length - history]
  world.close()
  return result
}

export const SIZES = [1, 10, 50, 100, 200] as const
const size = (part: number) => SIZES[part] ?? 1

export const MEASURES: Readonly<Record<string, Measure>> = {
  'death balanced': part => deathToMove('balanced', part),
  'death fast': part => deathToMove('fast', part),
  'hand-overs balanced': part => handOvers('balanced', part),
  'hand-overs fast': part => handOvers('fast', part),
  'gitlab outage': part => disturbed('gitlab outage', part),
  'prometheus outage': part => disturbed('prometheus outage', part),
  'rolling restart': part => disturbed('rolling restart', part),
  'quiet day balanced': () => quiet('balanced', 6, 24, true),
  'quiet day fast': () => quiet('fast', 6, 24, true),
  'calls balanced': part => quiet('balanced', 2 * size(part), 1, true),
  'calls fast': part => quiet('fast', 2 * size(part), 1, true),
  'calls balanced over REST': part => quiet('balanced', 2 * size(part), 1, false),
  'calls fast over REST': part => quiet('fast', 2 * size(part), 1, false),
}
