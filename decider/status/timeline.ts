/** How many changes of holders are kept per pool. */
const KEPT_CHANGES = 200

/** From `at` on, until the next entry. */
export interface HoldersSince {
  /** ISO instant by the decider's clock. */
  at: string
  /** Clusters that held the main tag, in the configuration's order; empty: nobody; null: GitLab could not be read. */
  holders: string[] | null
}

/** Who held the main tag when, as far as this process saw it: the newest changes, oldest first. */
export interface Timeline {
  /** What one cycle saw; null: GitLab could not be read. */
  saw(atMs: number, holders: readonly string[] | null): void
  entries(): HoldersSince[]
}

export function createTimeline(kept = KEPT_CHANGES): Timeline {
  const entries: { atMs: number; holders: readonly string[] | null }[] = []
  return {
    saw(atMs, holders) {
      // An outage after which all is as before hid no change that lasted; without it, a failing GitLab would push out
      // all that is worth knowing.
      const before = entries.at(-2)
      if (holders && before && entries.at(-1)?.holders === null && same(before.holders, holders)) {
        entries.pop()
        return
      }
      const last = entries.at(-1)
      if (last && same(last.holders, holders)) return
      entries.push({ atMs, holders })
      if (entries.length > kept) entries.shift()
    },
    entries: () =>
      entries.map(({ atMs, holders }) => ({ at: new Date(atMs).toISOString(), holders: holders && [...holders] })),
  }
}

function same(a: readonly string[] | null, b: readonly string[] | null): boolean {
  if (a === null || b === null) return a === b
  return a.length === b.length && a.every((name, index) => name === b[index])
}
