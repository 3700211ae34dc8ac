import type { GitLabFleet } from '../../lib/gitlab/fleet.ts'
import type { Scale } from '../../lib/kubernetes/types.ts'
import { type Clock, type Random, withDeadline } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import type { FleetConfig } from './config.ts'
import { type DemandDeps, type DemandReading, readDemand } from './demand.ts'
import { type FleetMemory, type FleetPlan, desired, MOTIVES, NO_FLEET_MEMORY } from './desired.ts'
import { type JobsOf, busyIn, jobsIn, leastSlots } from './managers.ts'
import type { FleetMetrics } from './metrics.ts'
import type { FleetReport } from './report.ts'
import { type Scaler, scalingProblem } from './scaler.ts'
import type { FleetSituation } from './situation.ts'

export interface KeeperDeps extends DemandDeps {
  gitlab: Pick<GitLabFleet, 'pendingJobs' | 'managers'>
  /** Missing: the number is exported only. */
  scaler?: Scaler
  /** Asked before every write. */
  maySend: () => boolean
  dryRun: boolean
  metrics: FleetMetrics
  /** What people should see in Kubernetes. */
  tell: (type: 'Normal' | 'Warning', reason: string, note: string) => void
  clock: Clock
  random: Random
  log: Log
}

/** One pool's fleet: looks, reckons and, where it is to, scales. */
export interface Keeper {
  /** News of the decider's cycle. */
  use(situation: FleetSituation): void
  /** There may be something new to do: look soon. */
  hint(): void
  /** Resolves after `signal` aborts, when the write under way has ended. Never rejects. */
  run(signal: AbortSignal): Promise<void>
  report(): FleetReport
}

const LOOK_WITHIN_MS = 10_000
const SCALE_WITHIN_MS = 10_000
/** After failures the time between two looks doubles up to this many times. */
const MOST_DOUBLINGS = 3

export function createKeeper(config: FleetConfig, deps: KeeperDeps): Keeper {
  const { clock, log, metrics, scaler } = deps
  const place = { pool: config.pool, cluster: config.cluster }
  let situation: FleetSituation | undefined
  let memory: FleetMemory = NO_FLEET_MEMORY
  let failures = 0
  let hinted = false
  let wakeUp: () => void = () => undefined
  let lastSaid = ''
  let report: FleetReport = {
    at: null,
    scale: scaler ? 'patch' : 'export',
    dryRun: deps.dryRun,
    desired: null,
    replicas: null,
    running: 0,
    pending: 0,
    managers: 0,
    idle: 0,
    slots: null,
    explain: 'it has not looked yet',
    problems: [],
    housekeeping: [],
  }

  async function cycle(now: FleetSituation, stopping: AbortSignal): Promise<void> {
    const problems: string[] = []
    const within = <T>(ms: number, work: (signal: AbortSignal) => Promise<T>) => withDeadline(clock, ms, work, stopping)
    const [demand, scale] = await Promise.all([
      within(LOOK_WITHIN_MS, signal => readDemand(deps, { ...config, ...now }, signal)),
      scaler && within(SCALE_WITHIN_MS, signal => lookAt(scaler, problems, signal)),
    ])
    if (stopping.aborted) return
    problems.push(...demand.gaps.map(gap => `The demand of the fleet is not known whole: ${gap}.`))

    const replicas = scaler ? (scale?.wanted ?? null) : (memory.replicas ?? startOf(now))
    if (replicas === 0) {
      tellOf({
        demand,
        replicas,
        plan: undefined,
        explain: 'somebody scaled it to zero, so it is left alone',
        problems,
      })
      return
    }
    const idle = demand.managers.filter(manager => manager.jobs === 0).length
    const slots = leastSlots(demand.managers)
    const capacity = { atMs: clock.monotonicMs(), role: now.role, replicas, idle, slots, inherited: now.inherited }
    let plan = desired(demand, capacity, config.rules, memory)
    let jobsOf = jobsIn(demand.managers)
    if (plan.motive === 'shrink') {
      // Prometheus is a scrape behind; GitLab knows of each job that was handed out a moment ago.
      const busy = await within(LOOK_WITHIN_MS, signal => busyIn(deps.gitlab, demand.managers, signal)).catch(
        (error: unknown) => {
          problems.push(`It is not known which managers have jobs: ${scalingProblem(error)}.`)
          return undefined
        },
      )
      jobsOf = jobsIn(demand.managers, busy)
      const stillIdle = busy ? demand.managers.filter(each => jobsOf(each.namespace, each.pod) === 0).length : 0
      plan = desired(demand, { ...capacity, idle: stillIdle }, config.rules, memory)
    }
    const done = await carryOut(plan, scale, jobsOf, problems, within)
    // What was not carried out was not given up either: the pauses between two steps begin with deeds.
    memory = done ? plan.next : { ...plan.next, loweredMs: memory.loweredMs, replicas: memory.replicas ?? replicas }
    const shown = done || scaler ? plan : { ...plan, replicas: memory.replicas }
    tellOf({ demand, replicas, plan: shown, explain: MOTIVES[plan.motive], problems })
  }

  async function lookAt(scaler: Scaler, problems: string[], signal: AbortSignal): Promise<Scale | undefined> {
    try {
      const [scale, rival] = await Promise.all([scaler.read(signal), scaler.rival(signal)])
      failures = 0
      if (rival === undefined) return scale
      problems.push(`The decider does not scale: ${rival}.`)
    } catch (error) {
      failures += 1
      problems.push(`The decider cannot scale: ${scalingProblem(error)}.`)
    }
    return undefined
  }

  /** Resolves with whether the plan is in force. */
  async function carryOut(
    plan: FleetPlan,
    scale: Scale | undefined,
    jobsOf: JobsOf,
    problems: string[],
    within: <T>(ms: number, work: (signal: AbortSignal) => Promise<T>) => Promise<T>,
  ): Promise<boolean> {
    const { replicas: to } = plan
    if (!scaler || to === null || scale === undefined) return scaler === undefined
    const { wanted: from } = scale
    if (to === from) return true
    const direction = to > from ? 'up' : 'down'
    if (deps.dryRun) {
      metrics.scaled(place, direction, 'dry_run')
      return true
    }
    if (!deps.maySend()) return false
    try {
      const refusal = await within(SCALE_WITHIN_MS, async signal => {
        if (direction === 'down') return scaler.shrink(scale, jobsOf, signal)
        await scaler.grow(from, to, signal)
        return undefined
      })
      if (refusal !== undefined) {
        log.info({ ...place, from, to, why: refusal }, 'no manager is given up')
        return false
      }
      metrics.scaled(place, direction, 'done')
      const note = `${from} to ${to} managers: ${MOTIVES[plan.motive]}`
      log.info({ ...place, from, to, motive: plan.motive }, 'scaled the runner managers')
      deps.tell('Normal', direction === 'up' ? 'FleetGrew' : 'FleetShrank', `Pool ${config.pool}: ${note}`)
      return true
    } catch (error) {
      metrics.scaled(place, direction, 'failed')
      problems.push(`Scaling from ${from} to ${to} managers failed: ${scalingProblem(error)}.`)
      return false
    }
  }

  function tellOf(look: {
    demand: DemandReading
    replicas: number | null
    plan: FleetPlan | undefined
    explain: string
    problems: readonly string[]
  }): void {
    const { demand, replicas, plan, explain, problems } = look
    report = {
      ...report,
      at: new Date(clock.wallMs()).toISOString(),
      desired: plan?.replicas ?? null,
      replicas,
      running: demand.running,
      pending: demand.pending,
      managers: demand.managers.length,
      idle: demand.managers.filter(manager => manager.jobs === 0).length,
      slots: config.rules.slots ?? leastSlots(demand.managers) ?? memory.slots,
      explain,
      problems,
    }
    metrics.show(place, report)
    say(problems)
  }

  /** One line and one Event when something goes wrong or another thing does, not per cycle. */
  function say(problems: readonly string[]): void {
    const saying = problems.join(' ')
    if (saying === lastSaid) return
    lastSaid = saying
    if (saying === '') {
      log.info(place, 'the fleet follows the demand again')
      return
    }
    log.warn({ ...place, problems }, 'the fleet cannot follow the demand')
    deps.tell('Warning', 'FleetProblem', `Pool ${config.pool}: ${saying}`)
  }

  function failed(error: unknown): void {
    failures += 1
    log.error({ ...place, err: error }, 'a look at the fleet failed unexpectedly')
    const text = `A look at the fleet failed: ${error instanceof Error ? error.message : String(error)}.`
    report = { ...report, problems: [text] }
    metrics.show(place, report)
    say(report.problems)
  }

  /** Until the next look is due, or soon after a hint. */
  async function rest(startMs: number, signal: AbortSignal): Promise<void> {
    const everyMs = config.everyMs * 2 ** Math.min(failures, MOST_DOUBLINGS) * (0.9 + 0.2 * deps.random())
    const waking = new AbortController()
    const wake = () => waking.abort(new Error('a hint'))
    signal.addEventListener('abort', wake, { once: true })
    const sinceMs = () => clock.monotonicMs() - startMs
    await clock.sleep(Math.max(config.minGapMs - sinceMs(), config.minGapMs / 5), signal).catch(() => undefined)
    if (!hinted) {
      wakeUp = wake
      await clock.sleep(Math.max(0, everyMs - sinceMs()), waking.signal).catch(() => undefined)
      wakeUp = () => undefined
    }
    hinted = false
    signal.removeEventListener('abort', wake)
  }

  function hint(): void {
    hinted = true
    wakeUp()
  }

  return {
    hint,
    use(news) {
      // A promotion cannot wait for the next look.
      const promoted = situation?.role === 'standby' && news.role === 'active'
      const first = situation === undefined
      situation = news
      if (promoted || first) hint()
    },
    report: () => report,
    async run(signal) {
      metrics.begin(place)
      const over = () => signal.aborted
      while (!over()) {
        const startMs = clock.monotonicMs()
        if (situation) {
          try {
            await cycle(situation, signal)
          } catch (error) {
            if (!over()) failed(error)
          }
        }
        if (!over()) await rest(startMs, signal)
      }
      metrics.forget(place)
    },
  }

  /** An exporting fleet begins with what is there; afterwards KEDA or the HPA follows it. */
  function startOf({ wanted, role }: FleetSituation): number | null {
    return wanted === null ? null : Math.max(wanted, role === 'active' ? config.rules.min : config.rules.standby)
  }
}
