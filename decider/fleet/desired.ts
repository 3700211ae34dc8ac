/** How many runner managers a cluster should have. Pure; every instant is on one monotonic clock. */

/** What the managers of one cluster have to do, in jobs. */
export interface Demand {
  running: number
  pending: number
  /** False: there may be more, because a source did not answer. Such a demand may raise the number, never lower it. */
  whole: boolean
}

export type Role = 'active' | 'standby'

export interface FleetCapacity {
  atMs: number
  role: Role
  /** Managers that are asked for now; null: nobody knows. */
  replicas: number | null
  /** Managers that are known to run no job. */
  idle: number
  /** Jobs that one manager runs at once; null: nobody knows. */
  slots: number | null
  /** Managers that the cluster which served before last asked for; null: it never said. */
  inherited: number | null
}

export interface FleetRules {
  min: number
  max: number
  /** At least, while another cluster serves. */
  standby: number
  /** Slots that are kept free while this cluster serves. */
  spare: number
  /** Instead of what the managers say of themselves. */
  slots?: number
  /** At most this many more at once. */
  growBy: number
  /** The greatest need of this long counts before a manager is given up. */
  windowMs: number
  /** Between two managers that are given up. */
  stepMs: number
}

export interface FleetMemory {
  role: Role | undefined
  replicas: number | null
  slots: number | null
  /** Needs within the window that no later one exceeded, oldest and greatest first. */
  needs: readonly { atMs: number; replicas: number }[]
  loweredMs: number
}

export const NO_FLEET_MEMORY: FleetMemory = {
  role: undefined,
  replicas: null,
  slots: null,
  needs: [],
  loweredMs: -Infinity,
}

export const MOTIVES = {
  unknown: 'it is not known how many managers are asked for now',
  held: 'the demand is not known whole, so nothing is given up',
  steady: 'it is what the demand needs',
  grow: 'the demand needs more',
  jump: 'this cluster serves now, so it takes over the number of the one before',
  window: 'the demand needed them a short while ago',
  step: 'a manager was given up a moment ago',
  busy: 'every manager has jobs',
  shrink: 'the demand needs fewer, and one of them is idle',
} as const
export type Motive = keyof typeof MOTIVES

export interface FleetPlan {
  /** Null: nobody can tell, and nothing must change. */
  replicas: number | null
  motive: Motive
  next: FleetMemory
}

/**
 * Enough slots for running, pending and spare jobs, between `min` (`standby`) and `max`. Up at once by `growBy` at most,
 * down one at a time and only when the greatest need of the window is lower and a manager is idle: the rule of
 * Kubernetes' HorizontalPodAutoscaler, slower. What is not known changes nothing; what is known in part only raises.
 */
export function desired(
  demand: Demand,
  capacity: FleetCapacity,
  rules: FleetRules,
  previous: FleetMemory = NO_FLEET_MEMORY,
): FleetPlan {
  const { atMs, role } = capacity
  const slots = rules.slots ?? capacity.slots ?? previous.slots
  const base = capacity.replicas ?? previous.replicas
  if (base === null) return { replicas: null, motive: 'unknown', next: { ...previous, slots } }

  const floor = role === 'active' ? rules.min : rules.standby
  const between = (replicas: number) => Math.min(rules.max, Math.max(floor, replicas))
  const promoted = previous.role === 'standby' && role === 'active' && capacity.inherited !== null
  const jump = promoted ? between(capacity.inherited ?? 0) : 0
  const jobs = demand.running + demand.pending + (role === 'active' ? rules.spare : 0)
  const needed = slots === null ? floor : between(Math.ceil(jobs / slots))
  const whole = demand.whole && slots !== null
  const need = Math.max(needed, jump, whole ? 0 : base)

  const seen = previous.needs.length > 0 ? previous.needs : [{ atMs, replicas: base }]
  const needs = [
    ...seen.filter(each => each.atMs > atMs - rules.windowMs && each.replicas > need),
    { atMs, replicas: need },
  ]
  const plan = (replicas: number, motive: Motive): FleetPlan => ({
    replicas,
    motive,
    next: { role, replicas, slots, needs, loweredMs: replicas < base ? atMs : previous.loweredMs },
  })

  if (need > base) {
    const replicas = Math.min(need, Math.max(base + rules.growBy, floor, jump))
    return plan(replicas, jump === replicas ? 'jump' : 'grow')
  }
  if (!whole) return plan(base, 'held')
  if (need === base) return plan(base, 'steady')
  if ((needs[0]?.replicas ?? need) >= base) return plan(base, 'window')
  if (atMs - previous.loweredMs < rules.stepMs) return plan(base, 'step')
  return capacity.idle > 0 ? plan(base - 1, 'shrink') : plan(base, 'busy')
}
