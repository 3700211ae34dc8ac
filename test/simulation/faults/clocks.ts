import { pick } from '../scenario.ts'
import { type FaultKind, HOUR_MS, MINUTE_MS } from './fault.ts'

const YEAR_MS = 365 * 24 * HOUR_MS

export const clockFaults: readonly FaultKind[] = [
  {
    kind: 'clock skew',
    forMs: [MINUTE_MS, HOUR_MS],
    start({ site, random }) {
      const ms = pick([-YEAR_MS, -HOUR_MS, -5000, 5000, HOUR_MS, YEAR_MS], random)
      site.machine.jumpWall(ms)
      return () => site.machine.jumpWall(-ms)
    },
  },
  {
    kind: 'clock rate',
    forMs: [5 * MINUTE_MS, HOUR_MS],
    start({ site, random }) {
      site.machine.setRate(0.9 + 0.2 * random())
      return () => site.machine.setRate(1)
    },
  },
]
