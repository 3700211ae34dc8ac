import type { HttpTransport } from '../http/transport.ts'
import { withDeadline, type Clock, type Random } from '../service/clock.ts'
import { silentLog, type Log } from '../service/log.ts'
import { parseGitLabUrl, type Endpoint, type GitLabUrl } from './endpoints.ts'
import { ShapeError, type Json } from './json.ts'
import { PAGE_SIZE, readPage, type Page } from './pages.ts'
import { createSender, givenUp, type OnRequest, type Sender } from './request.ts'
import { GitLabError } from './types.ts'

export interface GitLabClientOptions {
  /** GitLab's root or its `/api/v4`; credentials in it are refused. */
  url: string
  transport: HttpTransport
  /** Asked before every request, so that a renewed token is used at once; undefined rejects the call unsent. */
  token: () => Promise<string | undefined>
  clock: Clock
  random: Random
  log?: Log
  /** Bounds every call of the client as a whole, with all the requests and the repetition that it needs. */
  deadlineMs?: number
  maxResponseBytes?: number
  userAgent?: string
  /** For metrics; never sees the token, a URL or a body. */
  onRequest?: OnRequest
  /** For metrics: told of `RateLimit-Remaining` in each answer that has it. */
  onRateLimit?: (remaining: number) => void
}

export interface PagedList {
  endpoint: Endpoint
  subject: string
  /** The URL of a page, counted from 1. */
  at: (page: number) => string
  /** GitLab's words that mean that there is nothing, where that is no error. */
  absent?: RegExp
}

/** What every client of one GitLab with one token is made of. */
export interface GitLabAccess {
  url: GitLabUrl
  sender: Sender
  /** Runs a whole call within the deadline; whatever goes wrong inside leaves as a GitLabError. */
  call: <T>(
    endpoint: Endpoint,
    caller: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ) => Promise<T>
  /** Pages of a REST list until the last or the `most`th; `whole` says which. */
  list: (list: PagedList, most: number, signal: AbortSignal) => Promise<{ items: Json[]; whole: boolean }>
}

/** Throws when the URL is wrong. */
export function openAccess(
  options: GitLabClientOptions,
  usual: { deadlineMs: number; maxResponseBytes: number },
): GitLabAccess {
  const { clock, deadlineMs = usual.deadlineMs } = options
  const sender = createSender({
    transport: options.transport,
    token: options.token,
    clock,
    random: options.random,
    log: options.log ?? silentLog,
    maxResponseBytes: options.maxResponseBytes ?? usual.maxResponseBytes,
    userAgent: options.userAgent ?? 'gitlab-runner-hadr',
    onRequest: options.onRequest,
    onRateLimit: options.onRateLimit,
  })
  return {
    url: parseGitLabUrl(options.url),
    sender,
    call: (endpoint, caller, work) =>
      withDeadline(
        clock,
        deadlineMs,
        async signal => {
          try {
            return await work(signal)
          } catch (error) {
            throw sender.discreet(asGitLabError(error, endpoint, signal))
          }
        },
        caller,
      ),
    async list({ endpoint, subject, at, absent }, most, signal) {
      const nothing: Page = { items: [], nextPage: undefined, total: 0 }
      const items: Json[] = []
      let next: number | undefined = 1
      for (let pages = 0; next !== undefined && pages < most; pages++) {
        const page: number = next
        const part: Page = await sender.send<Page>(
          {
            endpoint,
            subject,
            method: 'GET',
            url: at(page),
            safe: true,
            read: answer => readPage(answer, page, PAGE_SIZE),
            ...(absent && { absent: { reason: absent, value: nothing } }),
          },
          signal,
        )
        items.push(...part.items)
        next = part.nextPage
      }
      return { items, whole: next === undefined }
    },
  }
}

/** Whatever goes wrong inside a call, as the one error that callers know. */
function asGitLabError(error: unknown, endpoint: Endpoint, signal: AbortSignal): GitLabError {
  if (error instanceof GitLabError) return error
  if (signal.aborted) return givenUp(endpoint, signal)
  if (error instanceof ShapeError) return new GitLabError('invalid_answer', endpoint, error.message, { cause: error })
  return new GitLabError('unavailable', endpoint, 'the call failed', { cause: error })
}
