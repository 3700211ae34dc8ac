import type { BusyManager, FleetRunner } from '../../../lib/gitlab/fleet.ts'

/** What housekeeping decides from what GitLab says. Pure; ages are reckoned from `nowMs`, by the decider's wall clock. */

/** Projects that a runner still lacks, in order; empty with `why` where it cannot be assigned at all. */
export function missingProjects(
  runner: FleetRunner,
  projects: readonly number[],
): { projects: readonly number[]; why?: string } {
  if (runner.type !== 'project_type') return { projects: [], why: 'it is no project runner' }
  const has = new Set(runner.projectIds)
  const missing = projects.filter(project => !has.has(project)).toSorted((a, b) => a - b)
  if (missing.length > 0 && runner.locked) return { projects: [], why: 'it is locked to its projects' }
  return { projects: missing }
}

/** When a runner was last heard of; one that never was counts from its creation. */
export function seenMs({ contactedAtMs, createdAtMs }: FleetRunner): number | undefined {
  return contactedAtMs ?? createdAtMs
}

/**
 * Runners that have been silent for `afterMs`. None unless another runner of the cluster was heard of since: the last one
 * stays, however silent, because its tag is what jobs wait for.
 */
export function silentRunners(runners: readonly FleetRunner[], afterMs: number, nowMs: number): FleetRunner[] {
  const silent = runners.filter(runner => {
    const seen = seenMs(runner)
    return seen !== undefined && nowMs - seen > afterMs
  })
  const heard = runners.some(runner => !silent.includes(runner) && runner.contactedAtMs !== null)
  return heard ? silent : []
}

/** Managers of one runner that have been silent for `afterMs`; none unless another of them was heard of since. */
export function silentManagers(managers: readonly BusyManager[], afterMs: number, nowMs: number): BusyManager[] {
  const silent = managers.filter(
    ({ contactedAtMs, busy }) => contactedAtMs !== null && nowMs - contactedAtMs > afterMs && busy !== true,
  )
  return silent.length < managers.length ? silent : []
}
