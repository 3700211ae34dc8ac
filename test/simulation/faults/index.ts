import { clockFaults } from './clocks.ts'
import { clusterFaults } from './clusters.ts'
import { configurationFaults } from './configuration.ts'
import type { FaultKind } from './fault.ts'
import { gitlabFaults } from './gitlab.ts'
import { peopleFaults } from './people.ts'
import { prometheusFaults } from './prometheus.ts'

/** Everything that can go wrong here. Stale runner entities and differing first tags are part of how a world is built. */
export const FAULTS: readonly FaultKind[] = [
  ...clusterFaults,
  ...gitlabFaults,
  ...prometheusFaults,
  ...clockFaults,
  ...peopleFaults,
  ...configurationFaults,
]
