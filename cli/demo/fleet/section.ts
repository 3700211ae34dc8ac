import type { Clock } from '../../../lib/service/clock.ts'
import type { Paint } from '../picture.ts'
import type { Screen } from '../screen.ts'
import type { FleetStage } from './fleet-stage.ts'

export interface SectionDeps {
  stage: FleetStage
  screen: Screen
  paint: Paint
  clock: Clock
  timeScale: number
  /** Ends the story early. */
  signal: AbortSignal
}

/** What a part of the story measured, and every promise that it broke. */
export interface SectionOutcome {
  facts: readonly (readonly [name: string, fact: string])[]
  broken: readonly string[]
}

/** A part of the story: told after the ones before, on the same stage. Rejects only when it cannot go on at all. */
export interface Section {
  title: string
  play(deps: SectionDeps): Promise<SectionOutcome>
}
