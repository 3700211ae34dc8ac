import { decide } from '../../../decider/decide.ts'
import { NO_MEMORY } from '../../../decider/memory.ts'
import type { Observation, PoolConfig, PoolStatus } from '../../../decider/model.ts'
import { digestOf } from '../../../decider/pool.ts'
import { timingOf } from '../../../decider/timing.ts'

const ROUNDS = 40

/** Milliseconds that one decision on so many clusters of so many runners each takes: the median of many. */
export function decideTimeMs({ clusters: count, runners } = { clusters: 50, runners: 1000 }): number {
  const names = Array.from({ length: count }, (_, index) => `c${index}`)
  const clusters = names.map(name => ({ name, tag: `runner-${name}`, priority: 0, weight: 1 }))
  const agreed = { mainTag: 'rnd-runner', strength: 'count' as const, clusters }
  const digest = digestOf(agreed)
  const config: PoolConfig = {
    ...agreed,
    name: 'rnd-runner',
    self: names[1] ?? 'c0',
    margin: 1,
    marginRatio: 0.2,
    timing: timingOf('balanced'),
    digest,
  }
  const ids = (cluster: number) => Array.from({ length: runners }, (_, index) => cluster * runners + index + 1)
  const statusOf = (cluster: number): PoolStatus => ({
    digest,
    epoch: 1,
    active: cluster === 0,
    available: runners,
    total: runners,
    desired: null,
    lastKnown: runners,
    unknownForSeconds: 0,
    servingIds: ids(cluster),
    reason: '',
  })
  const statuses = names.map((_, index) => statusOf(index))
  const observation = (cycle: number): Observation => ({
    monotonicMs: cycle * 10_000,
    wallMs: cycle * 10_000,
    gitlab: {
      readable: true,
      serverMs: cycle * 10_000,
      runners: names.flatMap((cluster, index) =>
        ids(index).map(id => ({ id, cluster, tagged: index === 0, paused: false, online: true, contactedAtMs: 0 })),
      ),
      files: Object.fromEntries(
        names.map((name, index) => [
          name,
          { kind: 'read' as const, seq: cycle, status: statuses[index] ?? statusOf(index) },
        ]),
      ),
      control: { kind: 'read', control: {} },
    },
    own: {
      known: true,
      available: runners,
      unknownPods: 0,
      total: runners,
      desired: null,
      servingIds: ids(Math.min(1, count - 1)),
    },
    outcomes: { wakes: {} },
  })
  let memory = NO_MEMORY
  const times: number[] = []
  for (let cycle = 1; cycle <= ROUNDS; cycle++) {
    const seen = observation(cycle)
    // Time on the processor: a busy machine must not look like a slow rule.
    const start = process.cpuUsage()
    memory = decide(seen, memory, config).next
    times.push(process.cpuUsage(start).user / 1000)
  }
  return times.sort((a, b) => a - b)[ROUNDS / 2] ?? 0
}
