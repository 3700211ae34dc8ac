import { type Clock, withDeadline } from '../../lib/service/clock.ts'
import { type Paint, drawTable, rowsOf } from './picture.ts'
import { poolReports } from './reports.ts'
import type { Screen } from './screen.ts'
import type { Stage } from './stage.ts'
import { MAIN_TAG } from './stage-options.ts'
import { type Verdict, Witness } from './witness.ts'

/** What a run measured, and every promise it broke. */
export interface Outcome extends Verdict {
  /** From the death of the first cluster to the main tag on a runner of another one. */
  secondsToMove: number | undefined
  /** From the death to the first job that another cluster picked. */
  secondsToJob: number | undefined
  broken: string[]
}

export interface ScriptDeps {
  stage: Stage
  screen: Screen
  paint: Paint
  clock: Clock
  timeScale: number
  /** Ends the run early; what was measured so far is the outcome. */
  signal: AbortSignal
}

const LOOK_EVERY_MS = 300

/**
 * Normal work, the death of the first cluster, the move, and its return, told as it happens. Waits for events, never
 * for a fixed time, except where the point is that nothing happens.
 */
export async function playScript(deps: ScriptDeps): Promise<Outcome> {
  const { stage, screen, paint, clock, timeScale, signal } = deps
  const { state } = stage.gitlab
  const [first, second] = stage.clusters
  if (!first || !second) throw new Error('the script needs two clusters')
  const alive = new Set(stage.clusters.map(({ name }) => name))
  const broken: string[] = []
  const interrupted = new Set<number>()
  const moves: { cluster: string; holds: boolean; atMs: number }[] = []
  const picks: { cluster: string; atMs: number }[] = []

  const witness = new Witness(state, stage.members, MAIN_TAG, (cluster, holds) => {
    moves.push({ cluster, holds, atMs: clock.monotonicMs() })
    const what = holds
      ? paint('green', `cluster ${cluster} gets ${MAIN_TAG}`)
      : `cluster ${cluster} no longer has ${MAIN_TAG}`
    screen.tell(what)
  })
  const endPicks = state.onJobChange(({ job, after }) => {
    const cluster = after === 'running' && job.runnerId !== null ? witness.clusterOf(job.runnerId) : undefined
    if (cluster !== undefined) picks.push({ cluster, atMs: clock.monotonicMs() })
  })

  let reports = await poolReports(stage)
  let killedMs: number | undefined

  /** A fresh table as a part of the story. */
  const keepPicture = async () => {
    reports = await poolReports(stage)
    screen.show(drawTable(rowsOf(stage, witness, reports, alive), paint))
    screen.keep()
  }

  /** Scaled seconds, as the programs count them. */
  const scaled = (seconds: number) => seconds * 1000 * timeScale
  const until = (what: string, withinMs: number, holds: () => boolean | Promise<boolean>) =>
    waitFor(clock, what, withinMs, holds, signal)

  const ending = new AbortController()
  const over = AbortSignal.any([signal, ending.signal])
  const said = new Map<string, string>()
  const looking = repeat(clock, LOOK_EVERY_MS, over, async () => {
    reports = await poolReports(stage)
    for (const [name, report] of reports) {
      const changed = report !== undefined && report.state !== said.get(name)
      // Before the death there is nothing to explain; from then on the deciders say themselves what they wait for.
      if (changed && killedMs !== undefined) screen.tell(paint('dim', `decider ${name}: ${report.explain}`))
      if (report) said.set(name, report.state)
    }
    screen.show(drawTable(rowsOf(stage, witness, reports, alive), paint))
  })
  const jobs = new AbortController()
  const feeding = repeat(clock, scaled(12), AbortSignal.any([over, jobs.signal]), () => {
    state.addJob({ project: stage.ciProjectId, tags: [MAIN_TAG], durationMs: 15_000 })
  })

  try {
    const ready = (name: string) => {
      const own = reports.get(name)?.clusters.find(cluster => cluster.name === name)
      return own?.available !== null && own?.available !== undefined && own.available >= 3
    }
    await until('both deciders to know their strength', 60_000, () => stage.clusters.every(({ name }) => ready(name)))
    await until('cluster a to claim', 60_000, () => reports.get(first.name)?.state === 'ACTIVE')
    screen.tell(`Both deciders know their strength; cluster ${first.name} serves.`)
    await until('jobs to run', 60_000, () => witness.picked(first.name) >= 5)
    await keepPicture()

    screen.tell(paint('red', `All of cluster ${first.name} is killed: runners, sidecars, Prometheus, decider.`))
    killedMs = clock.monotonicMs()
    for (const job of state.jobs()) {
      if (job.status === 'running' && job.runnerId !== null && witness.clusterOf(job.runnerId) === first.name) {
        interrupted.add(job.id)
      }
    }
    alive.delete(first.name)
    witness.setRunning(first.name, false)
    await first.kill()
    await until(`the main tag on cluster ${second.name}`, scaled(180) + 20_000, () =>
      witness.holders().includes(second.name),
    )
    const pickedBefore = witness.picked(second.name)
    await until(
      `cluster ${second.name} to run jobs`,
      scaled(60) + 10_000,
      () => witness.picked(second.name) > pickedBefore,
    )
    screen.tell(`Jobs that waited run on cluster ${second.name} now.`)
    await until(
      `cluster ${first.name} to be fenced`,
      scaled(90) + 20_000,
      () => !witness.holders().includes(first.name),
    )
    screen.tell(`Cluster ${first.name} is fenced: if it returns, it gets no jobs before it knows who serves.`)
    await until(`cluster ${second.name} to settle`, 30_000, () => reports.get(second.name)?.state === 'ACTIVE')
    await keepPicture()

    screen.tell(`Cluster ${first.name} returns, as strong as before.`)
    alive.add(first.name)
    witness.setRunning(first.name, true)
    const movesBefore = moves.length
    await first.start()
    await until(`cluster ${first.name} to be back`, 60_000, () => ready(first.name))
    screen.tell('It stands by: equal strength moves nothing, since every move costs caches.')
    // The point is that nothing happens: longer than a promotion in an emergency would take.
    await clock.sleep(scaled(60), signal)
    if (moves.length > movesBefore) broken.push('the main tag moved when the dead cluster came back')
    if (witness.holders().join() !== second.name) broken.push(`${witness.holders().join(' and ')} hold at the end`)
    jobs.abort(new Error('enough jobs'))
    await until('all jobs to finish', scaled(120) + 20_000, () => witness.verdict(interrupted).jobs.waiting === 0)
    await keepPicture()
  } catch (error) {
    broken.push(error instanceof Error ? error.message : String(error))
  } finally {
    ending.abort(new Error('the run is over'))
    await Promise.all([looking, feeding])
    endPicks()
    witness.close()
    screen.end()
  }

  const verdict = witness.verdict(interrupted)
  const after = (at: { atMs: number } | undefined) =>
    at && killedMs !== undefined ? (at.atMs - killedMs) / 1000 : undefined
  const diedMs = killedMs ?? Infinity
  if (verdict.nobodySeconds > 0) broken.push(`nobody carried the main tag for ${verdict.nobodySeconds.toFixed(1)} s`)
  if (verdict.jobs.lost > 0) broken.push(`${verdict.jobs.lost} jobs were lost`)
  return {
    ...verdict,
    secondsToMove: after(moves.find(move => move.cluster === second.name && move.holds && move.atMs >= diedMs)),
    secondsToJob: after(picks.find(pick => pick.cluster === second.name && pick.atMs >= diedMs)),
    broken,
  }
}

/** Resolves when `holds`; rejects, naming what was waited for, when that takes too long. */
export async function waitFor(
  clock: Clock,
  what: string,
  withinMs: number,
  holds: () => boolean | Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await withDeadline(
      clock,
      withinMs,
      async deadline => {
        while (!(await holds())) await clock.sleep(50, deadline)
      },
      signal,
    )
  } catch (error) {
    if (signal.aborted) throw new Error(`stopped while waiting for ${what}`, { cause: error })
    throw new Error(`waited ${Math.round(withinMs / 1000)} s in vain for ${what}`, { cause: error })
  }
}

/** Does `work` at once and then every `everyMs`, until the signal aborts. */
export async function repeat(clock: Clock, everyMs: number, signal: AbortSignal, work: () => unknown): Promise<void> {
  while (!signal.aborted) {
    await work()
    await clock.sleep(everyMs, signal).catch(() => undefined)
  }
}
