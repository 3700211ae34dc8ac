import { remember } from '../../../decider/memory.ts'
import type { Memory, Observation, Plan, PoolConfig, PoolStatus } from '../../../decider/model.ts'
import { type Views, viewClusters } from '../../../decider/views.ts'
import { decide as protocol } from '../../../decider/decide.ts'
import type { Decide } from '../site.ts'

/** A rule that somebody in a hurry would write, and which of the rules for all must catch it. */
export interface NaiveRule {
  name: string
  catches: readonly string[]
  /** Faults that bring it out; all when missing. */
  kinds?: readonly string[]
  decide: Decide
}

/** The plan of the protocol, unless `change` wants something else; it gets everything that the protocol looks at. */
function instead(change: (plan: Plan, views: Views, config: PoolConfig) => Plan): Decide {
  return (seen, previous, config) => {
    const plan = protocol(seen, previous, config)
    if (!seen.gitlab.readable || plan.state === 'PAUSED' || plan.state === 'CONFIG_MISMATCH') return plan
    return change(plan, viewClusters(remember(previous, seen, config), seen, config), config)
  }
}

function ownPart(plan: Plan, views: Views, change: Partial<PoolStatus>): PoolStatus | undefined {
  const { step } = plan
  const part = plan.publish ?? (step.kind === 'promote' || step.kind === 'demote' ? step.status : views.self.status)
  return part && { ...part, ...change }
}

/** Takes the own tags off at once: a "fence" of oneself has none of the checks that yielding has. */
function dropOwn(plan: Plan, views: Views): Plan {
  const runnerIds = views.self.runners.filter(runner => runner.tagged).map(({ id }) => id)
  if (runnerIds.length === 0) return plan
  const part = ownPart(plan, views, { active: false })
  const fence = [{ cluster: views.self.config.name, runnerIds }]
  return { ...plan, ...(part ? { publish: part } : {}), step: { kind: 'tend', addIds: [], fence } }
}

/** Hands the protocol another observation or another memory than the true ones. */
function believing(change: (seen: Observation, previous: Memory, config: PoolConfig) => [Observation, Memory]): Decide {
  return (seen, previous, config) => protocol(...change(seen, previous, config), config)
}

export const NAIVE_RULES: readonly NaiveRule[] = [
  {
    name: 'I am weaker, so I remove',
    catches: ['S1', 'S3'],
    kinds: ['runners gone', 'cluster death'],
    decide: instead((plan, views) =>
      views.peers.some(peer => peer.score > views.self.score) ? dropOwn(plan, views) : plan,
    ),
  },
  {
    name: 'remove before add',
    catches: ['S1', 'S2'],
    decide: instead((plan, views) => {
      if (plan.step.kind !== 'promote') return plan
      const fence = views.peers
        .filter(peer => peer.holds.length > 0)
        .map(peer => ({ cluster: peer.config.name, runnerIds: peer.holds.map(({ id }) => id) }))
      return fence.length > 0 ? { ...plan, step: { kind: 'tend', addIds: [], fence } } : plan
    }),
  },
  {
    name: 'yield to a claim without looking for its tags',
    catches: ['S1', 'S3', 'S6'],
    kinds: ['runners gone', 'runners not writable', 'gitlab slow writes'],
    decide: instead((plan, views) => {
      const { claim } = views.self
      const higher = views.peers.some(peer => peer.claim && claim && peer.claim.epoch > claim.epoch)
      return higher ? dropOwn(plan, views) : plan
    }),
  },
  {
    name: 'whoever sees another holder yields',
    catches: ['S1', 'S3'],
    decide: instead((plan, views) =>
      views.self.holds.length > 0 && views.peers.some(peer => peer.holds.length > 0) ? dropOwn(plan, views) : plan,
    ),
  },
  {
    name: 'silence counted in wall time',
    catches: ['S2'],
    decide: believing((seen, previous) => {
      const peers = Object.entries(previous.peers).map(([name, peer]) => {
        const silentMs = seen.monotonicMs - peer.changedMonotonicMs
        return [name, { ...peer, changedObservedMs: previous.observedMs - silentMs }] as const
      })
      return [seen, { ...previous, peers: Object.fromEntries(peers) }]
    }),
  },
  {
    name: 'empty is zero',
    catches: ['S5'],
    decide: believing((seen, previous) => {
      if (seen.own.known) return [seen, previous]
      const own = { known: true as const, available: 0, unknownPods: 0, total: 0, desired: null, servingIds: [] }
      return [{ ...seen, own }, previous]
    }),
  },
  {
    name: 'a failed look is an empty one',
    catches: ['S5'],
    decide: (seen, previous, config) => {
      const plan = protocol(seen, previous, config)
      const { ownStatus } = previous
      return seen.gitlab.readable || !ownStatus ? plan : { ...plan, publish: { ...ownStatus, active: true } }
    },
  },
  {
    name: 'the stronger one takes over at once',
    catches: ['S6'],
    kinds: ['runners gone', 'rolling restart'],
    decide: (seen, previous, config) =>
      protocol(seen, previous, { ...config, timing: { ...config.timing, preferForMs: 0, holdMinMs: 0 } }),
  },
  {
    name: 'a sleeping cluster is a dead one',
    catches: ['S2'],
    decide: (seen, previous, config) => {
      const { timing } = config
      return protocol(seen, previous, { ...config, timing: { ...timing, deadAfterMs: timing.heartbeatMs / 2 } })
    },
  },
]
