import { calmWorld, mustBeSafe, passed, planOf } from './figures/worlds.ts'
import { Trace } from './trace.ts'
import { type World, MAIN_TAG } from './world.ts'

/** One thing that goes wrong in a calm world where cluster a holds, told by what the deciders say. */
export interface Story {
  /** The heading in `docs/failover.md`. */
  name: string
  begin: (world: World) => (() => void) | undefined
  forSeconds: number
  afterSeconds: number
}

const wish = (world: World) => ({
  until: new Date(world.time.wallMs() + 3_600_000).toISOString(),
  by: 'ann',
  why: 'upgrade of cluster a',
})

export const STORIES: readonly Story[] = [
  {
    name: 'A cluster dies and returns',
    begin: world => world.site('a').die(),
    forSeconds: 1500,
    afterSeconds: 300,
  },
  {
    name: 'Only a decider dies',
    begin: world => world.site('a').killDecider(),
    forSeconds: 600,
    afterSeconds: 60,
  },
  {
    name: 'All runners of a cluster stop taking jobs',
    begin: world => world.site('a').fleet.breakPods(3),
    forSeconds: 300,
    afterSeconds: 60,
  },
  {
    name: 'A cluster grows weak',
    begin: world => world.site('a').fleet.breakPods(2),
    forSeconds: 1500,
    afterSeconds: 0,
  },
  {
    name: 'GitLab is out of reach',
    begin: world => world.gitlab.faults.outage(),
    forSeconds: 600,
    afterSeconds: 60,
  },
  {
    name: 'Prometheus fails for a quarter of an hour',
    begin: world => world.site('a').prometheus.fail('down'),
    forSeconds: 900,
    afterSeconds: 60,
  },
  {
    name: 'The status project cannot be written',
    begin: world =>
      world.gitlab.faults.add({
        caller: 'token:b',
        route: '/projects/:id/repository/commits',
        fault: { kind: 'status', status: 403 },
      }),
    forSeconds: 300,
    afterSeconds: 60,
  },
  {
    name: 'A token expires',
    begin: world => world.site('a').expireToken('runners'),
    forSeconds: 300,
    afterSeconds: 60,
  },
  {
    name: 'Somebody takes the main tag off by hand',
    begin(world) {
      const { state } = world.gitlab
      for (const { id, tags } of state.runners()) {
        if (tags.includes(MAIN_TAG)) state.editRunner(id, { tags: tags.filter(tag => tag !== MAIN_TAG) })
      }
      return undefined
    },
    forSeconds: 60,
    afterSeconds: 0,
  },
  {
    name: 'Two configurations disagree',
    begin: world =>
      world.site('a').reconfigure(configuration => ({
        ...configuration,
        pools: (configuration['pools'] as object[]).map(pool => ({ ...pool, strength: 'health' })),
      })),
    forSeconds: 300,
    afterSeconds: 60,
  },
  {
    name: 'People pause a pool',
    begin(world) {
      void world.control({ pause: wish(world) })
      return () => void world.control({})
    },
    forSeconds: 300,
    afterSeconds: 60,
  },
  {
    name: 'People pin the main tag to another cluster',
    begin(world) {
      void world.control({ pin: { ...wish(world), to: 'b' } })
      return () => void world.control({})
    },
    forSeconds: 300,
    afterSeconds: 60,
  },
]

/** Every line of the story, from the moment before it begins. */
export async function tell({ begin, forSeconds, afterSeconds }: Story): Promise<string[]> {
  const trace = new Trace()
  const { world, safety } = await calmWorld(planOf(5, 'balanced'), trace)
  trace.watch(world)
  trace.lines.length = 0
  const end = begin(world)
  await passed(world, forSeconds * 1000)
  end?.()
  await passed(world, afterSeconds * 1000)
  mustBeSafe(safety)
  world.close()
  return trace.lines
}
