import type { Context } from '../context.ts'
import type { Call } from './route.ts'

const DEFAULT_PER_PAGE = 20
const MAX_PER_PAGE = 100
/** Above this GitLab does not count. */
const MAX_COUNTED = 10_000

export interface Page<T> {
  items: T[]
  headers: Record<string, string>
}

/**
 * Offset pagination as every REST list has it: 20 a page, 100 at most whatever is asked for, an empty `x-next-page` on
 * the last page. Totals and the link to the last page are left out above 10,000 rows and for `uncounted` lists.
 */
export function page<T>(
  context: Context,
  call: Call,
  rows: readonly T[],
  options: { uncounted?: boolean } = {},
): Page<T> {
  const wanted = call.input.integer('per_page') ?? DEFAULT_PER_PAGE
  const perPage = wanted < 1 ? DEFAULT_PER_PAGE : Math.min(wanted, MAX_PER_PAGE)
  const number = Math.max(1, call.input.integer('page') ?? 1)
  const pages = Math.max(1, Math.ceil(rows.length / perPage))
  const start = (number - 1) * perPage
  const counted = !options.uncounted && rows.length <= MAX_COUNTED
  const next = number < pages ? number + 1 : undefined
  const previous = number > 1 ? number - 1 : undefined
  const link = (target: number, relation: string) => {
    const query = new URLSearchParams(call.query)
    for (const secret of ['private_token', 'access_token']) query.delete(secret)
    query.set('page', String(target))
    query.set('per_page', String(perPage))
    return `<${context.externalUrl}/api/v4${call.path}?${query.toString()}>; rel="${relation}"`
  }
  const links = [
    ...(previous === undefined ? [] : [link(previous, 'prev')]),
    ...(next === undefined ? [] : [link(next, 'next')]),
    link(1, 'first'),
    ...(counted ? [link(pages, 'last')] : []),
  ]
  return {
    items: rows.slice(start, start + perPage),
    headers: {
      link: links.join(', '),
      'x-next-page': next === undefined ? '' : String(next),
      'x-page': String(number),
      'x-per-page': String(perPage),
      'x-prev-page': previous === undefined ? '' : String(previous),
      ...(counted && { 'x-total': String(rows.length), 'x-total-pages': String(pages) }),
    },
  }
}
