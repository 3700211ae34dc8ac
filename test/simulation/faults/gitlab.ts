import type { Fault } from '../../../simulator/gitlab/faults.ts'
import { pick } from '../scenario.ts'
import type { World } from '../world.ts'
import { type FaultKind, type FaultSite, HOUR_MS, MINUTE_MS, SECOND_MS } from './fault.ts'

/** Who calls as this cluster's decider, or as any. */
function callersOf(world: World, cluster?: string): string[] {
  return world.plan.clusters
    .filter(({ name }) => cluster === undefined || name === cluster)
    .flatMap(({ name }) => (world.plan.twoTokens ? [`token:${name}`, `token:${name}-project`] : [`token:${name}`]))
}

function strike(
  { world }: FaultSite,
  rules: readonly { fault: Fault; probability?: number; method?: string; route?: RegExp }[],
  callers: readonly string[],
) {
  const ends = callers.flatMap(caller => rules.map(rule => world.gitlab.faults.add({ ...rule, caller })))
  return () => {
    for (const end of ends) end()
  }
}

const WRITES = ['PUT', 'POST'] as const
/** REST only: GraphQL's reads are POSTs, too. */
const WRITE_ROUTES = /runners|repository/

export const gitlabFaults: readonly FaultKind[] = [
  {
    kind: 'gitlab outage',
    forMs: [10 * SECOND_MS, 40 * MINUTE_MS],
    start(at) {
      const { world, random } = at
      if (random() < 0.25) return strike(at, [{ fault: { kind: 'hang' } }], callersOf(world))
      const answer = pick<Fault>(
        [{ kind: 'reset' }, { kind: 'status', status: 502 }, { kind: 'status', status: 503 }],
        random,
      )
      return world.gitlab.faults.outage(answer)
    },
  },
  {
    kind: 'gitlab slow',
    forMs: [20 * SECOND_MS, 15 * MINUTE_MS],
    start(at) {
      const { world, random, site } = at
      // Up to what Puma lets a request take.
      const delayMs = SECOND_MS * pick([0.5, 2, 5, 7.5, 9, 15, 30, 55], random)
      const probability = pick([0.1, 0.3, 0.6, 1], random)
      const callers = callersOf(world, random() < 0.5 ? undefined : site.name)
      return strike(at, [{ fault: { kind: 'slow', delayMs }, probability }], callers)
    },
  },
  {
    kind: 'gitlab slow writes',
    forMs: [20 * SECOND_MS, 15 * MINUTE_MS],
    start(at) {
      const { world, random, site } = at
      const delayMs = SECOND_MS * pick([3, 7.5, 12, 25, 55], random)
      const probability = pick([0.2, 0.5, 1], random)
      const callers = callersOf(world, random() < 0.5 ? undefined : site.name)
      const rules = WRITES.map(method => ({
        fault: { kind: 'slow' as const, delayMs },
        probability,
        method,
        route: WRITE_ROUTES,
      }))
      return strike(at, rules, callers)
    },
  },
  {
    kind: 'throttled',
    forMs: [10 * SECOND_MS, 5 * MINUTE_MS],
    start(at) {
      const { world, random, site } = at
      const fault: Fault =
        random() < 0.7 ? { kind: 'throttled', retryAfterSeconds: pick([1, 10, 60], random) } : { kind: 'limited' }
      return strike(
        at,
        [{ fault, probability: pick([0.1, 0.5, 1], random) }],
        callersOf(world, random() < 0.3 ? undefined : site.name),
      )
    },
  },
  {
    kind: 'lost reply',
    forMs: [20 * SECOND_MS, 15 * MINUTE_MS],
    start(at) {
      const { world, random, site } = at
      const probability = pick([0.2, 0.5, 1], random)
      const rules = WRITES.map(method => ({
        fault: { kind: 'lostReply' as const },
        probability,
        method,
        route: WRITE_ROUTES,
      }))
      return strike(at, rules, callersOf(world, random() < 0.5 ? undefined : site.name))
    },
  },
  {
    kind: 'flaky',
    forMs: [20 * SECOND_MS, 30 * MINUTE_MS],
    start(at) {
      const { world, random, site } = at
      const probability = pick([0.05, 0.15, 0.3], random)
      const faults: Fault[] = [
        { kind: 'reset' },
        { kind: 'status', status: 500 },
        { kind: 'status', status: 502 },
        { kind: 'truncated' },
      ]
      return strike(
        at,
        faults.map(fault => ({ fault, probability: probability / 2 })),
        callersOf(world, random() < 0.6 ? undefined : site.name),
      )
    },
  },
  {
    kind: 'project not writable',
    forMs: [20 * SECOND_MS, 40 * MINUTE_MS],
    start(at) {
      const fault: Fault = {
        kind: 'status',
        status: 403,
        body: '{"message":"403 Forbidden"}',
        headers: { 'content-type': 'application/json' },
      }
      return strike(at, [{ fault, method: 'POST', route: /repository/ }], callersOf(at.world, at.site.name))
    },
  },
  {
    kind: 'runners not writable',
    forMs: [20 * SECOND_MS, 20 * MINUTE_MS],
    start(at) {
      const fault: Fault = {
        kind: 'status',
        status: 403,
        body: '{"message":"403 Forbidden"}',
        headers: { 'content-type': 'application/json' },
      }
      return strike(at, [{ fault, method: 'PUT', route: /runners/ }], callersOf(at.world, at.site.name))
    },
  },
  {
    kind: 'expired token',
    forMs: [30 * SECOND_MS, 30 * MINUTE_MS],
    start({ world, site, random }) {
      return site.expireToken(world.plan.twoTokens && random() < 0.5 ? 'project' : 'runners')
    },
  },
  {
    kind: 'gitlab clock',
    forMs: [MINUTE_MS, HOUR_MS],
    start({ world, random }) {
      world.gitlab.state.setClockSkew((random() - 0.5) * 20 * MINUTE_MS)
      return () => world.gitlab.state.setClockSkew(0)
    },
  },
]
