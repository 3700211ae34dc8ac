import type { PrometheusFault } from '../prometheus.ts'
import { pick } from '../scenario.ts'
import { type FaultKind, MINUTE_MS, SECOND_MS } from './fault.ts'

const failing = (kind: string, ...how: PrometheusFault[]): FaultKind => ({
  kind,
  forMs: [10 * SECOND_MS, 40 * MINUTE_MS],
  start({ world, site, random }) {
    const fault = pick(how, random)
    const sites = random() < 0.3 ? world.sites : [site]
    const ends = sites.map(each => each.prometheus.fail(fault))
    return () => {
      for (const end of ends) end()
    }
  },
})

export const prometheusFaults: readonly FaultKind[] = [
  failing('prometheus down', 'down', 'hang', 'refusing'),
  failing('prometheus empty', 'empty', 'nan'),
  failing('prometheus stuck', 'stuck'),
  failing('prometheus partial', 'partial'),
]
