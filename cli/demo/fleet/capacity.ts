import type { PoolReport } from '../../../decider/status/report.ts'
import type { FleetReport } from '../../../decider/fleet/report.ts'
import { type Paint } from '../picture.ts'
import { poolReportAt } from '../reports.ts'
import { repeat, waitFor } from '../script.ts'
import { MAIN_TAG } from '../stage-options.ts'
import { MAX_MANAGERS, SLOTS } from './fleet-stage.ts'
import type { Section, SectionDeps, SectionOutcome } from './section.ts'

const LOOK_EVERY_MS = 250
/** One line of the timeline each so many unscaled seconds, and one whenever the Deployment changes. */
const LINE_EVERY_SECONDS = 20

interface Look {
  atMs: number
  waiting: number
  running: number
  wanted: number
  pods: number
}

/** Load rises, managers follow; load falls, they are given up one by one; no job dies. */
export const capacity: Section = { title: 'Capacity follows demand', play }

async function play(deps: SectionDeps): Promise<SectionOutcome> {
  const { stage, screen, paint, clock, timeScale, signal } = deps
  const { state } = stage.gitlab
  const scaled = (seconds: number) => seconds * 1000 * timeScale
  const until = (what: string, withinMs: number, holds: () => boolean | Promise<boolean>) =>
    waitFor(clock, what, withinMs, holds, signal)
  const startMs = clock.monotonicMs()
  const looks: Look[] = []
  const broken: string[] = []
  let report: PoolReport | undefined
  let risenMs: number | undefined
  let followedMs: number | undefined

  const look = (): Look => {
    const jobs = state.jobs()
    const count = (status: string) => jobs.filter(job => job.status === status).length
    return {
      atMs: clock.monotonicMs() - startMs,
      waiting: count('pending'),
      running: count('running'),
      wanted: stage.wanted(),
      pods: stage.replicas.pods().length,
    }
  }
  const steps: number[] = []
  let asked = stage.wanted()
  const unsubscribe = stage.kubernetes.state.onChange(() => {
    const wanted = stage.wanted()
    if (wanted !== asked) steps.push(wanted - asked)
    asked = wanted
  })
  const ending = new AbortController()
  const over = AbortSignal.any([signal, ending.signal])
  const note = () => {
    const now = look()
    const last = looks.at(-1)
    if (last && now.wanted !== last.wanted) {
      const what = `${last.wanted} → ${now.wanted} managers`
      const why = report?.fleet ? `: ${report.fleet.explain}` : ''
      screen.tell(now.wanted > last.wanted ? paint('green', what + why) : paint('yellow', what + why))
    }
    looks.push(now)
    return now
  }
  const looking = repeat(clock, LOOK_EVERY_MS, over, async () => {
    report = await poolReportAt(stage.deciderUrl)
    screen.show(tableOf(note(), report?.fleet, paint))
  })
  const keepPicture = () => {
    screen.show(tableOf(look(), report?.fleet, paint))
    screen.keep()
  }
  const job = (seconds: number) =>
    state.addJob({ project: stage.ciProjectId, tags: [MAIN_TAG], durationMs: seconds * 1000 })
  const trickling = new AbortController()

  try {
    await until(
      'the first manager and the decider to be ready',
      90_000,
      () => report?.fleet?.replicas === 1 && report.fleet.managers === 1,
    )
    screen.tell(
      `One manager with ${SLOTS} slots is there; the decider scales Deployment ci-runner between 1 and ${MAX_MANAGERS}.`,
    )
    keepPicture()

    screen.tell(paint('bold', 'Load rises: fourteen jobs at once.'))
    risenMs = clock.monotonicMs()
    for (let number = 0; number < 14; number++) job(60 + 10 * (number % 4))
    await until(`${MAX_MANAGERS} managers`, scaled(300) + 30_000, () => stage.wanted() === MAX_MANAGERS)
    followedMs = clock.monotonicMs()
    await until('all of them to be there', 60_000, () => report?.fleet?.managers === MAX_MANAGERS)
    await until('eight jobs to run at once', scaled(120) + 30_000, () => look().running >= MAX_MANAGERS * SLOTS - 1)
    keepPicture()

    screen.tell(paint('bold', 'Load falls: the queue empties, and only a short job now and then is left.'))
    const trickle = repeat(clock, scaled(25), AbortSignal.any([over, trickling.signal]), () => job(20))
    await until('the queue to be worked off', scaled(400) + 60_000, () => look().running + look().waiting <= 3)
    await until('one manager', scaled(600) + 90_000, () => stage.wanted() === 1)
    trickling.abort(new Error('enough'))
    await trickle
    await until('the last jobs to end', scaled(120) + 30_000, () => look().running + look().waiting === 0)
    await until('the managers that were given up to be gone', 60_000, () => stage.managers.targets().length === 2)
    keepPicture()
  } catch (error) {
    broken.push(error instanceof Error ? error.message : String(error))
  } finally {
    trickling.abort(new Error('the section ends'))
    ending.abort(new Error('the section ends'))
    await looking
    unsubscribe()
    note()
    screen.end()
  }

  const jobs = state.jobs()
  const died = jobs.filter(each => each.status !== 'success')
  const { givenUp } = stage.managers
  const wronged = givenUp.filter(each => each.jobs > 0 && each.leastElsewhere === 0)
  if (died.length > 0) broken.push(`${died.length} jobs did not succeed`)
  if (wronged.length > 0) broken.push(`${wronged.length} managers were given up with jobs while another one was idle`)
  if (steps.some(step => step < -1)) broken.push('more than one manager was given up at once')
  if (broken.length === 0 && steps.filter(step => step < 0).length < MAX_MANAGERS - 1)
    broken.push('not every manager was given up')

  drawTimeline(looks, scaled(LINE_EVERY_SECONDS), screen, paint)
  const most = Math.max(0, ...looks.map(each => each.wanted))
  return {
    broken,
    facts: [
      ['managers', `1 at first, ${most} at most, ${stage.wanted()} at last`],
      [
        'from the first job to all managers',
        followedMs === undefined || risenMs === undefined ? 'never' : secondsOf(followedMs - risenMs, timeScale),
      ],
      ['steps up and down', steps.map(step => (step > 0 ? `+${step}` : String(step))).join(' ') || 'none'],
      [
        'managers given up',
        `${givenUp.length}, with ${givenUp.reduce((sum, each) => sum + each.jobs, 0)} jobs on them`,
      ],
      ['jobs', `${jobs.length} created, ${jobs.length - died.length} succeeded`],
      ['jobs that died', String(died.length)],
    ],
  }
}

function secondsOf(ms: number, timeScale: number): string {
  const seconds = ms / 1000
  return `${seconds.toFixed(1)} s (${(seconds / timeScale).toFixed(0)} s unscaled)`
}

function tableOf(look: Look, fleet: FleetReport | undefined, paint: Paint): string[] {
  const dash = '–'
  const cells: [string, string][] = [
    ['jobs waiting', String(look.waiting)],
    ['running', String(look.running)],
    ['managers wanted', String(look.wanted)],
    ['pods', String(look.pods)],
    ['decider reckons', String(fleet?.desired ?? dash)],
    ['idle', fleet ? String(fleet.idle) : dash],
    ['because', fleet?.explain ?? dash],
  ]
  const line = (of: 0 | 1) =>
    cells
      .map(cell => cell[of].padEnd(Math.max(...cell.map(text => text.length))))
      .join('  ')
      .trimEnd()
  return [paint('dim', line(0)), line(1)]
}

function drawTimeline(looks: readonly Look[], everyMs: number, screen: SectionDeps['screen'], paint: Paint): void {
  const lines: Look[] = []
  for (const look of looks) {
    const last = lines.at(-1)
    if (last?.wanted !== look.wanted || look.atMs - last.atMs >= everyMs) lines.push(look)
  }
  screen.line(paint('bold', 'Timeline'))
  screen.line(paint('dim', '    time   managers  jobs: running and waiting'))
  for (const { atMs, wanted, running, waiting } of lines) {
    const time = `${(atMs / 1000).toFixed(1)} s`.padStart(8)
    screen.line(`${time}   ${'■'.repeat(wanted).padEnd(8)}  ${'●'.repeat(running)}${'○'.repeat(waiting)}`)
  }
}
