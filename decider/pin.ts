import type { PoolStatus } from './model.ts'
import { type Situation, validPin } from './situation.ts'

/** Why nothing comes of the pin that counts now; undefined: there is none, or its cluster can serve. */
export function pinRefusal({ memory, seen, views }: Situation): { to: string; why: string } | undefined {
  const pin = validPin(memory, seen)
  if (!pin) return undefined
  const { to, force } = pin
  const target = views.all.find(view => view.config.name === to)
  const refuse = (why: string) => ({ to, why })
  if (!target) return refuse(`this pool has no cluster ${to}`)
  if (target.self) {
    const { own } = seen
    if (own.known && own.available === 0 && own.unknownPods === 0) return refuse('it has no available runner')
    return force || target.score >= 1 ? undefined : refuse('nobody knows whether it can serve')
  }
  if (target.dead) return refuse('it is dead: neither its decider nor its runners answer')
  const why = statusObjection(target.presence === 'known' ? target.status : undefined, { force })
  return why === undefined ? undefined : refuse(why)
}

/** Why a cluster cannot serve, by what its status says; undefined: it can, or with `force` it may. */
function statusObjection(status: PoolStatus | undefined, { force }: { force: boolean }): string | undefined {
  if (!status) return 'it has no status that can be understood: no decider of this pool speaks for it'
  if (status.available === 0) return 'it has no available runner'
  if (status.available === null && status.lastKnown === 0 && !force) return 'nobody knows whether it can serve'
  return undefined
}
