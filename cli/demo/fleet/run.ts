import type { Clock } from '../../../lib/service/clock.ts'
import type { Paint } from '../picture.ts'
import type { Screen } from '../screen.ts'
import type { StageOptions } from '../stage-options.ts'
import { capacity } from './capacity.ts'
import { createFleetStage } from './fleet-stage.ts'
import { jobMetrics } from './job-metrics.ts'
import type { Section } from './section.ts'

/** In the order in which they are told. */
const SECTIONS: readonly Section[] = [capacity, jobMetrics]

export interface FleetDemo {
  options: StageOptions
  screen: Screen
  paint: Paint
  clock: Clock
}

/** Tells every section and sums up. Resolves with whether every promise held. */
export async function runFleetDemo({ options, screen, paint, clock }: FleetDemo): Promise<boolean> {
  const { timeScale, signal } = options
  screen.tell('Cluster a starts: GitLab, Kubernetes, Prometheus, one runner manager with its sidecar, a decider.')
  const stage = await createFleetStage(options)
  const broken: string[] = []
  try {
    for (const section of SECTIONS) {
      if (signal.aborted) {
        broken.push(`stopped before: ${section.title}`)
        continue
      }
      screen.line(paint('bold', section.title))
      const outcome = await section.play({ stage, screen, paint, clock, timeScale, signal })
      screen.line(paint('bold', `Summary: ${section.title}`))
      for (const [name, fact] of outcome.facts) screen.line(`  ${name.padEnd(36)}${fact}`)
      broken.push(...outcome.broken)
    }
  } finally {
    await stage.close()
  }
  if (broken.length === 0) screen.line(paint('green', 'Every promise held.'))
  for (const promise of broken) screen.line(paint('red', `Broken: ${promise}`))
  return broken.length === 0
}
