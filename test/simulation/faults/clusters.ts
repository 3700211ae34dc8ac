import { pick } from '../scenario.ts'
import { type FaultKind, MINUTE_MS, SECOND_MS } from './fault.ts'

export const clusterFaults: readonly FaultKind[] = [
  {
    kind: 'cluster death',
    forMs: [20 * SECOND_MS, 30 * MINUTE_MS],
    start: ({ site }) => site.die(),
  },
  {
    kind: 'decider death',
    forMs: [5 * SECOND_MS, 80 * MINUTE_MS],
    start: ({ site }) => site.killDecider(),
  },
  {
    kind: 'decider restart',
    forMs: [SECOND_MS, 30 * SECOND_MS],
    start({ site, forMs }) {
      void site.restart(forMs)
      return () => undefined
    },
  },
  {
    kind: 'cut off',
    forMs: [10 * SECOND_MS, 80 * MINUTE_MS],
    start: ({ site, random }) => site.cutOff(random() < 0.5 ? 'reset' : 'hang'),
  },
  {
    kind: 'suspended',
    forMs: [5 * SECOND_MS, 30 * MINUTE_MS],
    start({ site, random }) {
      if (site.machine.suspended) return () => undefined
      return site.suspend(random() < 0.5 ? 'process' : 'machine')
    },
  },
  {
    kind: 'runners gone',
    forMs: [10 * SECOND_MS, 30 * MINUTE_MS],
    start({ site, random }) {
      const { pods } = site.fleet.options
      return site.fleet.breakPods(random() < 0.6 ? pods : 1 + Math.floor(random() * pods))
    },
  },
  {
    kind: 'rolling restart',
    forMs: [SECOND_MS, 2 * SECOND_MS],
    start({ site, random }) {
      void site.fleet.roll(pick([1, 1, 2, 100], random))
      return () => undefined
    },
  },
]
