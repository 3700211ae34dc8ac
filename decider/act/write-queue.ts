import type { Clock } from '../../lib/service/clock.ts'

/** Writes of one pool at the same time. */
const WIDTH = 4
/** After a burst all pools together start no more than this: two hundred runners are moved in ten seconds. */
const PER_SECOND = 20
const BURST = 20

export interface WriteQueue {
  /**
   * Runs `work` when it is its turn. Work that is no longer `wanted` is not held up by anybody, so that it can say so and
   * end.
   */
  run<T>(lane: string, wanted: () => boolean, work: () => Promise<T>): Promise<T>
}

interface Lane {
  running: number
  waiting: { wanted: () => boolean; start: (place: boolean) => void }[]
}

/**
 * Paces writes, since GitLab limits requests per user. Each pool has a lane of its own and lanes take turns: a pool whose
 * runners do not answer, or that has hundreds of them, holds up no other.
 */
export function createWriteQueue(clock: Clock): WriteQueue {
  /** In the order of their turns. */
  const lanes = new Map<string, Lane>()
  let tokens = BURST
  let countedMs = clock.monotonicMs()
  let waking = false

  function refill(): void {
    const nowMs = clock.monotonicMs()
    tokens = Math.min(BURST, tokens + ((nowMs - countedMs) * PER_SECOND) / 1000)
    countedMs = nowMs
  }

  function dismissUnwanted(): void {
    for (const lane of lanes.values()) {
      const unwanted = lane.waiting.filter(({ wanted }) => !wanted())
      if (unwanted.length === 0) continue
      lane.waiting = lane.waiting.filter(entry => !unwanted.includes(entry))
      for (const { start } of unwanted) start(false)
    }
  }

  function startNext(): void {
    refill()
    dismissUnwanted()
    for (;;) {
      const turn = [...lanes].find(([, lane]) => lane.waiting.length > 0 && lane.running < WIDTH)
      if (!turn) return
      // A hair less than a whole token: fractions of seconds do not add up exactly.
      if (tokens < 1 - 1e-6) {
        wakeLater(((1 - tokens) * 1000) / PER_SECOND)
        return
      }
      const [name, lane] = turn
      lanes.delete(name)
      lanes.set(name, lane)
      tokens -= 1
      lane.running++
      lane.waiting.shift()?.start(true)
    }
  }

  function wakeLater(ms: number): void {
    if (waking) return
    waking = true
    clock.after(ms, () => {
      waking = false
      startNext()
    })
  }

  return {
    async run(name, wanted, work) {
      const lane = lanes.get(name) ?? { running: 0, waiting: [] }
      lanes.set(name, lane)
      const place = await new Promise<boolean>(start => {
        lane.waiting.push({ wanted, start })
        startNext()
      })
      try {
        return await work()
      } finally {
        if (place) lane.running--
        startNext()
        if (lane.running === 0 && lane.waiting.length === 0 && lanes.get(name) === lane) lanes.delete(name)
      }
    },
  }
}
