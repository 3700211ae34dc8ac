import { join } from 'node:path'
import { poolReport } from '../../../cli/demo/reports.ts'
import { createStage, type StageCluster } from '../../../cli/demo/stage.ts'
import { MAIN_TAG } from '../../../cli/demo/stage-options.ts'
import type { Profile } from '../../../decider/timing.ts'
import { systemClock } from '../../../lib/service/clock.ts'
import { silentLog } from '../../../lib/service/log.ts'
import { createRandom } from '../../support/random.ts'
import { until } from '../../support/until.ts'
import type { PartOptions } from '../options.ts'

/** Long enough for every wait that the protocol knows; start-up included. */
const LONGEST_MS = 15 * 60_000
const START_MS = 120_000
const SEEDS: Readonly<Record<Profile, number>> = { gentle: 1, balanced: 2, fast: 3 }

/**
 * Seconds from the death of a cluster, all of its processes killed at once, to the main tag on the other one; all
 * programs and runners being processes. With a `timeScale` below 1 everything's intervals are that much shorter, and the
 * result is told as if they were not.
 */
export async function measureDeath(
  profile: Profile,
  { programs, folder, durations: { timeScale } }: PartOptions,
): Promise<number> {
  const stage = await createStage({
    timeScale,
    profile,
    clusters: ['a', 'b'],
    runnersPerCluster: 1,
    realPrometheus: false,
    programs,
    folder: join(folder, `stage-${profile}`),
    clock: systemClock,
    random: createRandom(SEEDS[profile]),
    log: silentLog,
    signal: new AbortController().signal,
  })
  try {
    const longestMs = LONGEST_MS * timeScale + START_MS
    const [a, b] = stage.clusters as [StageCluster, StageCluster]
    await a.start()
    await until('a claims', longestMs, async () => (await poolReport(a))?.state === 'ACTIVE')
    await b.start()
    await until('b stands by', longestMs, async () => {
      const report = await poolReport(b)
      return report?.state === 'STANDBY' && report.clusters.every(({ available }) => available === 1)
    })
    const members = stage.members['b'] ?? []
    const moved = new Promise<number>(resolve => {
      stage.gitlab.state.onTagChange(({ runnerId, after }) => {
        if (members.includes(runnerId) && after.includes(MAIN_TAG)) resolve(systemClock.monotonicMs())
      })
    })
    const diedMs = systemClock.monotonicMs()
    await a.kill()
    let movedMs: number | undefined
    void moved.then(ms => (movedMs = ms))
    await until('the main tag on b', longestMs, () => movedMs !== undefined)
    return ((movedMs ?? NaN) - diedMs) / 1000 / timeScale
  } finally {
    await stage.close()
  }
}
