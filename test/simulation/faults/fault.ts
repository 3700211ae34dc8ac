import type { Random } from '../../../lib/service/clock.ts'
import type { Site } from '../site.ts'
import type { World } from '../world.ts'

export interface FaultSite {
  world: World
  site: Site
  random: Random
  /** How long it is going to last. */
  forMs: number
}

/** One kind of thing that goes wrong. */
export interface FaultKind {
  kind: string
  /** Shortest and longest duration. */
  forMs: readonly [number, number]
  /** Begins it; the returned function ends it and leaves nothing behind that a healthy world would not have. */
  start(at: FaultSite): () => void
}

export const SECOND_MS = 1000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS
