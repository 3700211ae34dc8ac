import { fanOut } from '../../../lib/gitlab/fan-out.ts'
import type { FleetRunner, GitLabFleet } from '../../../lib/gitlab/fleet.ts'
import type { Clock, Random } from '../../../lib/service/clock.ts'
import type { Log } from '../../../lib/service/log.ts'
import type { FleetConfig, Housekeeping } from '../config.ts'
import type { Chore, FleetMetrics, ScaleResult } from '../metrics.ts'
import type { FleetSituation } from '../situation.ts'
import { missingProjects, seenMs, silentManagers, silentRunners } from './chores.ts'

export interface HousekeeperDeps {
  gitlab: GitLabFleet
  readToken: (file: string) => Promise<string>
  maySend: () => boolean
  dryRun: boolean
  metrics: FleetMetrics
  clock: Clock
  random: Random
  log: Log
}

/** Keeps a cluster's runner entities in order, slowly. */
export interface Housekeeper {
  use(situation: FleetSituation): void
  /** Resolves after `signal` aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>
  /** What the last round did, would have done or could not do, in words. */
  report(): readonly string[]
}

const READS_AT_ONCE = 2
/** More wait for the next round: nothing here is urgent, and GitLab's limits are shared with the decider's own work. */
const WRITES_PER_ROUND = 100
const MOST_LINES = 50

export function createHousekeeper(config: FleetConfig, rules: Housekeeping, deps: HousekeeperDeps): Housekeeper {
  const { gitlab, clock, log, metrics } = deps
  const place = { pool: config.pool, cluster: config.cluster }
  const dry = rules.dryRun || deps.dryRun
  let situation: FleetSituation | undefined
  let lines: string[] = []

  async function round(runnerIds: readonly number[], signal: AbortSignal): Promise<string[]> {
    const told: string[] = []
    let left = WRITES_PER_ROUND
    /** Does one thing, or says that it would. Resolves with whether it was done. */
    const chore = async (kind: Chore, what: string, work: () => Promise<void>): Promise<boolean> => {
      if (left <= 0 || signal.aborted || (!dry && !deps.maySend())) return false
      left -= 1
      let result: ScaleResult = dry ? 'dry_run' : 'done'
      let why = ''
      try {
        if (!dry) await work()
      } catch (error) {
        result = 'failed'
        why = `: ${textOf(error)}`
      }
      metrics.kept(place, kind, result)
      const line = result === 'failed' ? `could not ${what}${why}` : `${dry ? 'would ' : 'did '}${what}`
      if (result === 'failed') log.warn({ ...place, chore: kind, result }, line)
      else log.info({ ...place, chore: kind, result }, line)
      told.push(line)
      return result === 'done'
    }
    const attempt = async (what: string, work: () => Promise<void>) => {
      try {
        await work()
      } catch (error) {
        told.push(`could not ${what}: ${textOf(error)}`)
        log.warn({ ...place, err: error }, `housekeeping could not ${what}`)
      }
    }

    const { assignToGroup, removeRunnersAfterMs, removeManagersAfterMs } = rules
    if (assignToGroup !== undefined) {
      await attempt('assign runners to projects', () => assign(assignToGroup, runnerIds))
    }
    if (removeRunnersAfterMs !== undefined) {
      await attempt('look for silent runners', () => removeRunners(removeRunnersAfterMs, runnerIds))
    }
    if (removeManagersAfterMs !== undefined) {
      for (const { runner, file } of rules.runnerTokenFiles) {
        await attempt(`look for silent managers of runner ${runner}`, () =>
          removeManagers(removeManagersAfterMs, runner, file),
        )
      }
    }
    return told.slice(0, MOST_LINES)

    async function assign(group: number, ids: readonly number[]): Promise<void> {
      const [projects, runners] = await Promise.all([gitlab.groupProjects(group, signal), readAll(ids)])
      for (const runner of runners) {
        const { projects: missing, why } = missingProjects(runner, projects)
        if (why !== undefined) told.push(`runner ${runner.id} is left as it is: ${why}`)
        let added = 0
        for (const project of missing) {
          const what = `assign runner ${runner.id} to project ${project}`
          if (await chore('assign', what, () => gitlab.assign(project, runner.id, signal))) added++
        }
        // An assignment does not wake the runner's queue: its jobs would wait for the next one that does.
        if (added > 0) await attempt(`wake runner ${runner.id}`, () => gitlab.wake(runner.id, runner.locked, signal))
      }
    }

    async function removeRunners(afterMs: number, ids: readonly number[]): Promise<void> {
      for (const silent of silentRunners(await readAll(ids), afterMs, clock.wallMs())) {
        const managers = await gitlab.managers(silent.id, signal)
        if (managers.some(manager => manager.busy)) {
          told.push(`runner ${silent.id} is silent, but GitLab says that it has jobs`)
          continue
        }
        await chore('remove_runner', `remove runner ${silent.id}, silent since ${since(seenMs(silent))}`, async () => {
          // It may have come back while the others were dealt with.
          const [still] = silentRunners(await readAll(ids), afterMs, clock.wallMs()).filter(
            ({ id }) => id === silent.id,
          )
          if (!still) throw new Error('it has come back, or is the last one')
          await gitlab.removeRunner(silent.id, signal)
        })
      }
    }

    async function removeManagers(afterMs: number, runner: number, file: string): Promise<void> {
      const managers = silentManagers(await gitlab.managers(runner, signal), afterMs, clock.wallMs())
      for (const { systemId, contactedAtMs } of managers) {
        const what = `remove manager ${systemId} of runner ${runner}, silent since ${since(contactedAtMs ?? undefined)}`
        await chore('remove_manager', what, async () => {
          await gitlab.removeManager(await deps.readToken(file), systemId, signal)
        })
      }
    }

    function readAll(ids: readonly number[]): Promise<FleetRunner[]> {
      return fanOut(ids, READS_AT_ONCE, id => gitlab.runner(id, signal))
    }
  }

  return {
    use(news) {
      situation = news
    },
    report: () => lines,
    async run(signal) {
      const over = () => signal.aborted
      while (!over()) {
        if (situation && situation.runnerIds.length > 0) {
          try {
            lines = await round(situation.runnerIds, signal)
          } catch (error) {
            if (!over()) log.error({ ...place, err: error }, 'housekeeping failed unexpectedly')
          }
        }
        const restMs = situation ? rules.everyMs : Math.min(rules.everyMs, config.everyMs)
        await clock.sleep(restMs * (0.9 + 0.2 * deps.random()), signal).catch(() => undefined)
      }
    },
  }
}

function since(ms: number | undefined): string {
  return ms === undefined ? 'ever' : new Date(ms).toISOString()
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
