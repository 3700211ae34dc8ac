import { availability, podAvailability, type Availability, type RunnerFacts } from './availability.ts'
import { judgeContact, type Contact } from './contact.ts'
import type { GitLabView } from './gitlab.ts'
import type { Identity } from './identities.ts'
import type { LocalView } from './local.ts'

/** Everything known at one moment, put together. */
export interface Moment {
  local: LocalView
  gitlab: GitLabView
  terminating: boolean
  /** Monotonic. */
  nowMs: number
  staleAfterMs: number
}

export interface Evaluation {
  pod: Availability
  /** GitLab's word for the pod: online when one of its runners is, undefined while one may be. */
  online: boolean | undefined
  /** Whether contact with GitLab is sound; undefined while that cannot be said. */
  contactOk: boolean | undefined
  /** Whether GitLab knows all runners of the pod; undefined while that is not settled. */
  identityOk: boolean | undefined
}

/** Decides the pod from the two views. Pure. */
export function evaluate(moment: Moment): Evaluation {
  const { local, gitlab } = moment
  const contacts = contactsByEntry(moment)
  const verdicts = gitlab.identities.flatMap(identity => {
    const own = identity.shortToken === undefined ? [...contacts.values()] : [contacts.get(identity.shortToken)]
    const judged = own.length > 0 ? own : [undefined]
    return judged.map(contact => availability(factsOf(moment, identity, contact ?? 'never')))
  })
  return {
    pod: podAvailability(verdicts, { state: 'unknown', reason: 'runner_unreadable' }),
    online: anyOnline(gitlab.identities),
    contactOk: local.endpoint === 'answering' ? contactVerdict([...contacts.values()]) : undefined,
    identityOk: identityVerdict(gitlab),
  }
}

function contactsByEntry({ local, nowMs, staleAfterMs }: Moment): ReadonlyMap<string, Contact> {
  return new Map([...local.contacts].map(([token, state]) => [token, judgeContact(state, nowMs, staleAfterMs)]))
}

function factsOf({ local, gitlab, terminating }: Moment, identity: Identity, contact: Contact): RunnerFacts {
  const process = local.sample?.process
  return {
    terminating,
    endpoint: local.endpoint,
    ...(process === undefined ? {} : { process }),
    contact,
    paused: identity.word?.paused,
    identity: identity.state,
    gitlabAnswers: gitlab.answers,
  }
}

function anyOnline(identities: readonly Identity[]): boolean | undefined {
  const words = identities.map(identity => identity.word?.online)
  if (words.includes(true)) return true
  return words.includes(undefined) ? undefined : words.length > 0 ? false : undefined
}

function contactVerdict(contacts: readonly Contact[]): boolean | undefined {
  if (contacts.includes('good')) return true
  return contacts.every(contact => contact === 'never') ? undefined : false
}

function identityVerdict({ checkOk, identities }: GitLabView): boolean | undefined {
  if (identities.some(({ state }) => state === 'missing')) return false
  return checkOk !== undefined && identities.every(({ state }) => state === 'known') ? true : undefined
}
