import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Decision } from '../loop.ts'
import type { State } from '../model.ts'

/** How many decisions that changed or wrote something are kept. */
const KEPT_RECORDS = 50

/** A decision in short; `id` finds the whole of it. */
export interface DecisionReport {
  id: number
  at: string
  state: State
  step: string
  explain: string
  deeds: Decision['deeds']
}

/** The decisions of one pool that are kept: the last ones that changed the state or wrote more than a heartbeat. */
export interface DecisionRecords {
  record(decision: Decision): void
  /** Newest last. */
  list(): DecisionReport[]
  /**
   * JSON of a whole decision: `{config, seen, previous, plan, deeds, …}`. `decide(seen, previous, config)` gives `plan`
   * again. Without an id the newest decision of all, a heartbeat's too; undefined: not kept (any more).
   */
  whole(id?: number): string | undefined
}

export function createDecisionRecords(): DecisionRecords {
  const kept: { report: DecisionReport; packed: Buffer }[] = []
  let latest: Decision | undefined
  let nextId = 1

  return {
    record(decision) {
      const notable = wroteMore(decision) || latest?.plan.state !== decision.plan.state
      latest = decision
      if (!notable) return
      const { plan, deeds, atMs } = decision
      const { state, step, explain } = plan
      const report = { id: nextId++, at: new Date(atMs).toISOString(), state, step: step.kind, explain, deeds }
      // With thousands of runners a decision is half a megabyte of JSON, and repeats itself so much that little is left.
      kept.push({ report, packed: deflateRawSync(JSON.stringify(decision)) })
      if (kept.length > KEPT_RECORDS) kept.shift()
    },
    list: () => kept.map(({ report }) => report),
    whole(id) {
      if (id === undefined) return latest && JSON.stringify(latest)
      const found = kept.find(({ report }) => report.id === id)
      return found && inflateRawSync(found.packed).toString()
    },
  }
}

/** Heartbeats alone are not kept: they would push everything else out within the hour. */
function wroteMore({ plan, deeds }: Decision): boolean {
  return deeds.length > 0 && (plan.step.kind !== 'none' || deeds.some(deed => deed.operation !== 'publish'))
}
