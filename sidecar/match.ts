import type { RunnerCandidate } from '../lib/gitlab/types.ts'

/** One `[[runners]]` entry of this pod that has no runner id yet. */
export interface Wanted {
  /** First nine characters of its token; empty when the runner's metrics cannot be read: then only a name is known. */
  shortToken: string
  systemId: string
}

/**
 * How sure it is that a candidate is the wanted runner. `certain`: token and one more mark agree. `token`, `process`,
 * `name`: that mark alone agrees and none disagrees. With registration tokens each pod is a runner whose description is
 * the pod's name; with authentication tokens (`glrt-`) a runner has many processes, told apart by their `system_id`.
 */
export type Likeness = 'certain' | 'token' | 'process' | 'name'

export function likeness(candidate: RunnerCandidate, wanted: Wanted, names: ReadonlySet<string>): Likeness | undefined {
  const named = candidate.description !== null && names.has(candidate.description)
  const served = candidate.hasManager === true
  if (wanted.shortToken !== '' && candidate.shortSha !== undefined && candidate.shortSha !== '') {
    // GitLab shows eight characters of what the runner shows nine of.
    if (!wanted.shortToken.startsWith(candidate.shortSha)) return undefined
    return named || served ? 'certain' : 'token'
  }
  if (served) return named ? 'certain' : 'process'
  return named ? 'name' : undefined
}

/** The best candidates seen so far for one wanted entry. */
export interface Best {
  likeness: Likeness
  /** Ascending; more than one when candidates are equally like. Only the two newest are kept. */
  ids: readonly number[]
}

const ORDER: readonly Likeness[] = ['certain', 'token', 'process', 'name']

export function better(best: Best | undefined, id: number, seen: Likeness): Best {
  if (best === undefined || ORDER.indexOf(seen) < ORDER.indexOf(best.likeness)) return { likeness: seen, ids: [id] }
  if (seen !== best.likeness || best.ids.includes(id)) return best
  return { likeness: seen, ids: [...best.ids, id].sort((a, b) => a - b).slice(-2) }
}

/**
 * The runner that the search decided for; undefined when it found none or cannot tell two apart. Of several runners that
 * carry the pod's name the newest is meant: the chart registers anew whenever the container restarts.
 */
export function chosen(best: Best | undefined): number | undefined {
  if (best === undefined) return undefined
  return best.ids.length === 1 || best.likeness === 'name' ? best.ids.at(-1) : undefined
}
