import type { Contact } from './contact.ts'
import type { ProcessState } from './runner.ts'

/** Why a runner takes no jobs. Each needs positive evidence. */
export const UNAVAILABLE_REASONS = {
  shutting_down: 'the runner is shutting down and takes no more jobs',
  paused: 'the runner is paused in GitLab',
  runner_gone: 'the runner process has stopped answering on its port',
  refused: 'GitLab refuses the runner (403)',
  circuit_open: 'the runner has stopped asking for jobs after errors (its circuit breaker waits an hour)',
} as const

/** Why nothing can be said. */
export const UNKNOWN_REASONS = {
  runner_unreadable: "the runner's metrics cannot be read",
  runner_starting: 'the runner is starting',
  runner_not_found: 'GitLab knows no runner that is this one',
  no_contact_yet: 'no successful job request was seen yet',
  contact_stale: 'no job request succeeded lately although a slot is free, and nothing says why',
  gitlab_unreachable: 'no job request succeeds, and GitLab cannot be reached from here either',
} as const

export type UnavailableReason = keyof typeof UNAVAILABLE_REASONS
export type UnknownReason = keyof typeof UNKNOWN_REASONS

/** Whether a runner takes jobs as soon as a slot is free. */
export type Availability =
  | { state: 'available' }
  | { state: 'unavailable'; reason: UnavailableReason }
  | { state: 'unknown'; reason: UnknownReason }

/** Everything that one entry's availability is decided from. */
export interface RunnerFacts {
  /** This pod was told to stop. */
  terminating: boolean
  /** `gone`: it answered before, and now nothing listens on its port. `unreadable`: any other lack of an answer. */
  endpoint: 'answering' | 'gone' | 'unreadable'
  /** Absent where the runner does not tell. */
  process?: ProcessState
  contact: Contact
  /** GitLab's word; undefined while it is unknown, which vetoes nothing. */
  paused: boolean | undefined
  /** `missing`: GitLab was asked, answered, and does not have this runner. `unsettled`: not asked or not answered. */
  identity: 'known' | 'missing' | 'unsettled'
  /** Whether GitLab answered this sidecar lately; undefined when it was not asked. */
  gitlabAnswers: boolean | undefined
}

/** Decides one entry. The order matters: a certain no before a doubt, a doubt before a yes. */
export function availability(facts: RunnerFacts): Availability {
  if (facts.terminating || isStopping(facts.process)) return unavailable('shutting_down')
  if (facts.paused === true) return unavailable('paused')
  if (facts.endpoint === 'gone') return unavailable('runner_gone')
  if (facts.endpoint === 'unreadable') return unknown('runner_unreadable')
  if (facts.contact === 'refused') return unavailable('refused')
  if (facts.identity === 'missing') return unknown('runner_not_found')
  if (facts.process === 'starting') return unknown('runner_starting')
  switch (facts.contact) {
    case 'good':
      return { state: 'available' }
    case 'never':
      return unknown('no_contact_yet')
    case 'broken':
      // Without proof that GitLab is up, the errors may be GitLab's own, and every cluster's runners have them.
      if (facts.gitlabAnswers === true) return unavailable('circuit_open')
      return unknown(facts.gitlabAnswers === false ? 'gitlab_unreachable' : 'contact_stale')
    case 'stale':
      return unknown(facts.gitlabAnswers === false ? 'gitlab_unreachable' : 'contact_stale')
  }
}

/**
 * Decides the pod from its entries: one available entry makes it available, one in doubt forbids a no. `undecided` is
 * the answer for a pod without any entry.
 */
export function podAvailability(entries: readonly Availability[], undecided: Availability): Availability {
  return (
    entries.find(entry => entry.state === 'available') ??
    entries.find(entry => entry.state === 'unknown') ??
    entries[0] ??
    undecided
  )
}

/** One sentence for people. */
export function describeAvailability(verdict: Availability): string {
  switch (verdict.state) {
    case 'available':
      return 'available'
    case 'unavailable':
      return `unavailable: ${verdict.reason}: ${UNAVAILABLE_REASONS[verdict.reason]}`
    case 'unknown':
      return `unknown: ${verdict.reason}: ${UNKNOWN_REASONS[verdict.reason]}`
  }
}

function isStopping(process: ProcessState | undefined): boolean {
  return process === 'graceful-shutdown' || process === 'forceful-shutdown'
}

function unavailable(reason: UnavailableReason): Availability {
  return { state: 'unavailable', reason }
}

function unknown(reason: UnknownReason): Availability {
  return { state: 'unknown', reason }
}
