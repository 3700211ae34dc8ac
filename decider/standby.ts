import {
  type Choice,
  type Situation,
  NOTHING,
  incumbentOf,
  preferenceObstacle,
  silentDecider,
  validPin,
  winnerOver,
} from './situation.ts'
import { isUnknown } from './memory.ts'
import type { PromotionCause } from './model.ts'
import { rankOf } from './views.ts'

/**
 * Section 3.4 of the protocol: this cluster's file does not say active. Clear leftovers on proof; promote when nobody
 * serves, when people ask for it, or when this cluster is clearly and lastingly stronger.
 */
export function chooseStandby(situation: Situation): Choice {
  const { views, status } = situation
  const leftovers = views.self.runners.filter(runner => runner.tagged).map(runner => runner.id)
  const winner = leftovers.length > 0 ? winnerOver(situation) : undefined
  if (winner) {
    return {
      state: 'DEMOTING',
      explain: `Cluster ${winner.config.name} is seen serving; the main tag left over on this cluster goes.`,
      step: {
        kind: 'demote',
        winner: winner.config.name,
        ours: null,
        status: { ...status, active: false, reason: 'DEMOTING' },
        removeIds: leftovers,
      },
    }
  }
  const wanted = promotion(situation)
  if (!wanted.cause) {
    if (wanted.waiting) return { state: 'WAITING', explain: wanted.why, step: NOTHING }
    const silent = silentDecider(views)
    return { state: silent ? 'PEER_DECIDER_DOWN' : 'STANDBY', explain: silent ?? wanted.why, step: NOTHING }
  }

  const quarantineMs = quarantineLeftMs(situation)
  if (quarantineMs > 0) {
    return {
      state: 'WAITING',
      explain: `${wanted.why} First, ${seconds(quarantineMs)} more until no removal of ours can still be under way.`,
      step: NOTHING,
    }
  }
  return promote(situation, wanted.cause, wanted.why)
}

interface Wish {
  cause?: PromotionCause
  waiting?: boolean
  why: string
}

/** The first rule that promotes now; else the first one that has something to say. */
function promotion(situation: Situation): Wish {
  const urgent = emergency(situation)
  if (urgent?.cause) return urgent
  const pin = pinned(situation)
  return pin?.cause ? pin : (urgent ?? pin ?? preferred(situation))
}

/** Nobody serves. Undefined: somebody does, or a pin leaves it to another. */
function emergency({ views, memory, seen, config, muted }: Situation): Wish | undefined {
  const { timing } = config
  const sinceMs = memory.since.nobodyEffective
  if (sinceMs === undefined) return undefined
  const pin = validPin(memory, seen)
  if (pin && pin.to !== config.self && !pinTargetGivenUp({ memory, config, views }, pin.to)) {
    return { waiting: true, why: `Nobody serves; the pin leaves the main tag to cluster ${pin.to}.` }
  }
  if (muted && views.all.some(view => view.holds.length > 0)) {
    return { waiting: true, why: 'Nobody serves well, but this decider cannot publish, so it takes nothing over.' }
  }
  const rank = rankOf(views.self, views)
  const liveClaim = views.peers.some(peer => peer.live && peer.claim)
  const waitMs = (liveClaim ? timing.failForMs : 0) + rank * timing.staggerMs
  const waitedMs = memory.observedMs - sinceMs
  if (seen.own.known && seen.own.available >= 1) {
    if (waitedMs >= waitMs) return { cause: 'emergency', why: 'Nobody serves the main tag and this cluster can.' }
    return {
      waiting: true,
      why: `Nobody serves; this cluster takes over in ${seconds(waitMs - waitedMs)} (rank ${rank}).`,
    }
  }
  const scorelessMs = memory.since.nobodyScores
  if (isUnknown(seen.own) && scorelessMs !== undefined) {
    const leftMs = timing.lastResortMs - (memory.observedMs - scorelessMs)
    if (leftMs <= 0)
      return {
        cause: 'last_resort',
        why: 'Nobody serves, nobody else can, and it is not known that this cluster cannot.',
      }
    return {
      waiting: true,
      why: `Nobody serves and this cluster's capacity is unknown; last resort in ${seconds(leftMs)}.`,
    }
  }
  return { why: 'Nobody serves, and this cluster cannot either.' }
}

function pinned({ views, memory, seen, config, muted }: Situation): Wish | undefined {
  const pin = validPin(memory, seen)
  if (pin?.to !== config.self || muted) return undefined
  const { own } = seen
  const provenZero = own.known && own.available === 0 && own.unknownPods === 0
  const why = `Pinned to this cluster by ${pin.by}: ${pin.why}`
  if (provenZero) return { why: `${why}; refused, because it has no available runner.` }
  if (pin.force) return { cause: 'pin', why }
  if (own.known && own.available >= 1 && views.self.score >= 1) return { cause: 'pin', why }
  return { waiting: true, why: `${why}; waiting until its capacity is known.` }
}

function preferred(situation: Situation): Wish {
  const { views, memory, config, muted } = situation
  const { timing } = config
  const incumbent = incumbentOf(views)
  const holder = incumbent?.config.name ?? 'nobody'
  const stay = (why: string): Wish => ({ why: `Cluster ${holder} serves; ${why}` })
  const obstacle = preferenceObstacle(situation)
  if (obstacle !== undefined) return stay(obstacle)
  if (muted) return stay('this decider cannot publish, so it takes nothing over.')
  const betterMs = memory.since.better ?? memory.observedMs
  const betterLeftMs = timing.preferForMs - (memory.observedMs - betterMs)
  const holdLeftMs = timing.holdMinMs - (memory.observedMs - memory.epochChangedMs)
  const leftMs = Math.max(betterLeftMs, holdLeftMs)
  if (leftMs > 0)
    return { waiting: true, ...stay(`this cluster is stronger and takes over in ${seconds(leftMs)} if that lasts.`) }
  return { cause: 'prefer', why: `This cluster has been clearly stronger than ${holder} for long enough.` }
}

function promote(situation: Situation, cause: PromotionCause, why: string): Choice {
  const { status, views } = situation
  const state = cause === 'last_resort' ? 'LAST_RESORT' : 'PROMOTING'
  const lacking = views.self.runners.filter(runner => !runner.tagged)
  const first = (id: number) => (status.servingIds.includes(id) ? 0 : 1)
  // Runners with a pod behind them first, then those that GitLab calls online: one tagged runner ends the outage.
  const ordered = [...lacking].sort(
    (a, b) => first(a.id) - first(b.id) || Number(b.online === true) - Number(a.online === true),
  )
  return {
    state,
    explain: why,
    step: {
      kind: 'promote',
      cause,
      status: { ...status, active: true, epoch: nextEpoch(situation), reason: state },
      addIds: ordered.map(runner => runner.id),
    },
  }
}

/** Above all that were seen and all that were given up; a claim on its way is made again as it is. */
function nextEpoch({ memory, word }: Situation): number {
  if (!word || word.epoch <= memory.epochSeen) return memory.epochSeen + 1
  return word.active ? word.epoch : word.epoch + 1
}

/** By GitLab's clock: a removal that was sent, or allowed by an inactive file, may land late. */
function quarantineLeftMs({ memory, config, serverMs }: Situation): number {
  const fromMs = memory.quarantineFromServerMs
  return fromMs === undefined ? 0 : config.timing.quarantineMs - (serverMs - fromMs)
}

function pinTargetGivenUp(
  { memory, config, views }: Pick<Situation, 'memory' | 'config' | 'views'>,
  to: string,
): boolean {
  const target = views.peers.find(peer => peer.config.name === to)
  if (!target || target.dead) return true
  const weakMs = memory.since.pinTargetWeak
  return weakMs !== undefined && memory.observedMs - weakMs >= config.timing.failForMs
}

function seconds(ms: number): string {
  return `${Math.max(1, Math.ceil(ms / 1000))} s`
}
