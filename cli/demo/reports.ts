import type { StatusReport } from '../../decider/app.ts'
import type { PoolReport } from '../../decider/status/report.ts'
import type { Stage, StageCluster } from './stage.ts'

/** A look at a decider that hangs must not hold up the picture. */
const LOOK_WITHIN_MS = 1500

/** The pool as a cluster's decider sees it; undefined: the decider does not answer. */
export async function poolReport({ deciderUrl }: StageCluster): Promise<PoolReport | undefined> {
  return poolReportAt(deciderUrl)
}

export async function poolReportAt(deciderUrl: string): Promise<PoolReport | undefined> {
  try {
    const answer = await fetch(`${deciderUrl}/status`, { signal: AbortSignal.timeout(LOOK_WITHIN_MS) })
    const report = (await answer.json()) as StatusReport
    return report.pools[0]
  } catch {
    return undefined
  }
}

/** Every cluster's own view, by name. */
export async function poolReports(stage: Stage): Promise<ReadonlyMap<string, PoolReport | undefined>> {
  return new Map(await Promise.all(stage.clusters.map(async each => [each.name, await poolReport(each)] as const)))
}
