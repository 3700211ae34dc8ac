import { pick } from '../scenario.ts'
import { MAIN_TAG } from '../world.ts'
import { type FaultKind, type FaultSite, HOUR_MS, MINUTE_MS, SECOND_MS } from './fault.ts'

function runnersOf({ world, site }: FaultSite) {
  return world.gitlab.state.runners().filter(runner => world.clusterOf(runner) === site.name)
}

function wishes(at: FaultSite) {
  const until = new Date(at.world.gitlab.state.nowMs() + at.forMs + HOUR_MS).toISOString()
  return { until, by: 'ann', why: 'a try' }
}

export const peopleFaults: readonly FaultKind[] = [
  {
    kind: 'admin edits tags',
    forMs: [SECOND_MS, 2 * SECOND_MS],
    start(at) {
      const { world, random } = at
      const { state } = world.gitlab
      const { id, tags } = pick(runnersOf(at), random)
      const others = tags.filter(tag => tag !== MAIN_TAG)
      const edits = [
        [...tags, `extra-${Math.floor(random() * 100)}`],
        tags.filter(tag => !tag.startsWith('extra-')),
        others,
        [...others, MAIN_TAG],
      ]
      state.editRunner(id, { tags: pick(edits, random) })
      return () => undefined
    },
  },
  {
    kind: 'admin removes the main tag everywhere',
    forMs: [SECOND_MS, 2 * SECOND_MS],
    start({ world }) {
      const { state } = world.gitlab
      for (const { id, tags } of state.runners()) {
        if (tags.includes(MAIN_TAG)) state.editRunner(id, { tags: tags.filter(tag => tag !== MAIN_TAG) })
      }
      return () => undefined
    },
  },
  {
    kind: 'runners paused',
    forMs: [10 * SECOND_MS, 30 * MINUTE_MS],
    start(at) {
      const { world, random } = at
      const { state } = world.gitlab
      const all = runnersOf(at)
      const ids = (random() < 0.5 ? all : [pick(all, random)]).map(({ id }) => id)
      for (const id of ids) state.editRunner(id, { paused: true })
      return () => {
        for (const id of ids) state.editRunner(id, { paused: false })
      }
    },
  },
  {
    kind: 'pool paused',
    forMs: [MINUTE_MS, 20 * MINUTE_MS],
    start(at) {
      void at.world.control({ pause: wishes(at) })
      return () => void at.world.control({})
    },
  },
  {
    kind: 'pinned',
    forMs: [MINUTE_MS, 30 * MINUTE_MS],
    start(at) {
      void at.world.control({ pin: { ...wishes(at), to: at.site.name, force: at.random() < 0.2 } })
      return () => void at.world.control({})
    },
  },
]
