import { type PoolReport } from '../status/report.ts'
import { verdictOf } from '../status/problems.ts'

/** What `/status` tells of a pool's fleet; what is unknown is null. */
export interface FleetReport {
  /** When it last looked. */
  at: string | null
  /** Whether the decider scales itself, or only tells. */
  scale: 'export' | 'patch'
  /** It decides, but changes nothing and exports nothing. */
  dryRun: boolean
  desired: number | null
  /** Managers that are asked for now. */
  replicas: number | null
  running: number
  pending: number
  /** Managers that Prometheus shows, and those of them that run no job. */
  managers: number
  idle: number
  slots: number | null
  /** Why the number is what it is, in words. */
  explain: string
  /** Sentences. */
  problems: readonly string[]
  /** What the last round of housekeeping did, or would have done. */
  housekeeping: readonly string[]
}

/** The pool's report with its fleet, whose problems count as warnings. */
export function withFleet(report: PoolReport, fleet: FleetReport | undefined): PoolReport {
  if (!fleet) return report
  const problems = [...report.problems, ...fleet.problems.map(text => ({ level: 'warning' as const, text }))]
  return { ...report, fleet, problems, verdict: verdictOf(report, problems.length) }
}
