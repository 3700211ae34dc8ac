import { ShapeError, type Json } from './json.ts'
import type { Answer } from './request.ts'

/** GitLab's maximum; it silently gives fewer when more are asked for. */
export const PAGE_SIZE = 100
/** 5,000 entries: more than any group's runners, and few enough for a loop that must end. */
export const MAX_PAGES = 50

/** One page of a REST list. */
export interface Page {
  items: Json[]
  /** Undefined on the last page. */
  nextPage: number | undefined
  /** Entries on all pages together; GitLab leaves it out above 10,000. */
  total: number | undefined
}

/**
 * Reads a REST list's page out of its answer. Throws ShapeError where the page could be a part that looks like the whole:
 * a full page without paging headers, which some proxies strip, or a next page that does not go forward.
 */
export function readPage({ json, headers }: Answer, page: number, pageSize: number): Page {
  const items = json.items()
  const next = headers['x-next-page']?.trim()
  if (next === undefined && items.length >= pageSize) {
    throw new ShapeError('the x-next-page header', 'present: without it nobody knows whether the list is whole')
  }
  const nextPage = next === undefined || next === '' ? undefined : Number(next)
  if (nextPage !== undefined && !(Number.isSafeInteger(nextPage) && nextPage > page)) {
    throw new ShapeError('the x-next-page header', `a page after ${page}`)
  }
  return { items, nextPage, total: totalOf(headers) }
}

/** The `x-total` header; undefined where GitLab leaves it out. */
export function totalOf(headers: Answer['headers']): number | undefined {
  const total = headers['x-total']?.trim()
  if (total === undefined || total === '') return undefined
  if (!/^\d{1,15}$/.test(total)) throw new ShapeError('the x-total header', 'a number')
  return Number(total)
}
