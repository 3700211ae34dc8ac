import type { Decider } from '../../decider/app.ts'
import type { OpsAnswer, OpsRoute } from '../../lib/service/ops-server.ts'

/** What the decider tells besides metrics and readiness; `page` is the one for people. */
export function statusRoutes(
  decider: Pick<Decider, 'alive' | 'status' | 'records'>,
  page: OpsAnswer,
): Record<string, OpsRoute> {
  return {
    '/': () => page,
    '/livez': () => {
      const verdict = decider.alive()
      return verdict === true ? { status: 200, body: 'ok\n' } : { status: 503, body: `${verdict}\n` }
    },
    '/status': () => {
      const status = decider.status()
      const answer = json(`${JSON.stringify(status, null, 2)}\n`)
      // Behind one Service, the next connection may find the replica that leads.
      return status.role === 'leader' ? answer : { ...answer, headers: { connection: 'close' } }
    },
    '/status/decisions': query => decisions(decider, query),
  }
}

/** In short all that are kept; with `pool` the newest one whole, with `id` too that one. */
function decisions(decider: Pick<Decider, 'records'>, query: URLSearchParams): OpsAnswer {
  const records = decider.records()
  const pool = query.get('pool')
  const id = query.get('id')
  if (pool === null) {
    const lists = Object.fromEntries(Object.entries(records).map(([name, kept]) => [name, kept.list()]))
    return json(`${JSON.stringify(lists, null, 2)}\n`)
  }
  const kept = Object.hasOwn(records, pool) ? records[pool] : undefined
  const whole = kept?.whole(id === null ? undefined : Number(id))
  return whole === undefined ? { status: 404, body: 'no such decision is kept\n' } : json(`${whole}\n`)
}

function json(body: string): OpsAnswer {
  return { status: 200, body, contentType: 'application/json; charset=utf-8' }
}
