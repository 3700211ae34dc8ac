import { systemClock, type Clock, type Random } from '../../lib/service/clock.ts'
import { silentLog, type Log } from '../../lib/service/log.ts'
import { presentedToken } from './access.ts'
import { Refusal, json, text, type Answer } from './answers.ts'
import type { Context } from './context.ts'
import { ConnectionBroken, FaultBox, faultAnswer, hang, type Fault, type Faults } from './faults.ts'
import { createGraphqlEndpoint } from './graphql/endpoint.ts'
import { readInput } from './input.ts'
import { JobDesk } from './jobs.ts'
import { applicationLimited, Limits } from './limits.ts'
import { Observation } from './observation.ts'
import { answerOpenId, SigningKey } from './openid.ts'
import { RunnerQueue } from './queue.ts'
import { handleRest, matchRoute } from './rest/router.ts'
import { RunnerDesk } from './runners.ts'
import { createState, type GitLabState } from './state.ts'
import { Store } from './store.ts'
import { createServerTime, GITLAB_TIMING, type GitLabTiming } from './timing.ts'

export interface GitLabOptions {
  clock?: Clock
  random?: Random
  /** Path under which the instance lives, such as `/gitlab`; empty by default. */
  relativeRoot?: string
  timing?: Partial<GitLabTiming>
  /** Default true. */
  graphql?: boolean
  log?: Log
}

export interface CoreRequest {
  method: string
  /** Path and query. */
  path: string
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>
  body: string
  /** Who connected, when no `X-Forwarded-For` tells it. */
  remoteAddress?: string
  signal?: AbortSignal
}

/** An answer and, when the network is to be unpleasant, how it arrives. */
export interface CoreAnswer extends Answer {
  delivery?: Extract<Fault, { kind: 'drip' | 'truncated' }>
}

export interface GitLabCore {
  /** Rejects with ConnectionBroken when the connection breaks, with the signal's reason when the caller gives up. */
  handle(request: CoreRequest): Promise<CoreAnswer>
  readonly state: GitLabState
  readonly faults: Faults
  /** Where the instance says it is; `server.ts` sets it once it knows its port. */
  setExternalUrl(url: string): void
  /** Ends long polls, hangs and the housekeeping timer. */
  close(): void
}

/** A GitLab without sockets: every wait goes through the clock, every chance through `random`. */
export function createGitLab(options: GitLabOptions = {}): GitLabCore {
  const { clock = systemClock, random = Math.random, log = silentLog, relativeRoot = '' } = options
  const time = createServerTime(clock)
  const timing = { ...GITLAB_TIMING, ...options.timing }
  const store = new Store()
  const observation = new Observation()
  const queue = new RunnerQueue({ clock, random, time, timing })
  const deps = { store, queue, observation, time, timing, random }
  const context: Context = {
    clock,
    random,
    time,
    timing,
    settings: { graphql: options.graphql ?? true, allowRegistration: false, duplicatePackages: true },
    store,
    observation,
    queue,
    limits: new Limits(time),
    runners: new RunnerDesk(deps),
    jobs: new JobDesk(deps),
    signingKey: new SigningKey(),
    relativeRoot,
    externalUrl: `https://gitlab.example${relativeRoot}`,
  }
  const state = createState(context)
  const faults = new FaultBox(random)
  const closing = new AbortController()
  const graphql = createGraphqlEndpoint(context)

  let cancelHousekeeping: () => void
  const housekeepLater = () => {
    cancelHousekeeping = clock.after(timing.housekeepingEveryMs, () => {
      state.runHousekeeping()
      housekeepLater()
    })
  }
  housekeepLater()

  async function handle(request: CoreRequest): Promise<CoreAnswer> {
    const url = new URL(request.path, 'http://simulated')
    const api = url.pathname.startsWith(`${relativeRoot}/api/`)
      ? url.pathname.slice(relativeRoot.length + 4)
      : undefined
    const restPath = api?.startsWith('/v4/') ? api.slice(3) : undefined
    const matched = matchRoute(request.method, restPath ?? '')
    const route = matched.route?.pattern ?? (api === '/graphql' ? '/graphql' : 'unknown')
    const caller = callerOf(context, request, url.searchParams, restPath)
    const subject = { method: request.method, route, caller }
    const ended = new AbortController()
    const signal = ended.signal
    const forget = follow(ended, [closing.signal, ...(request.signal ? [request.signal] : [])])
    const seen = (status: number, bytes: number) =>
      observation.request({ atMs: time.nowMs(), ...subject, status, bytes })

    const process = async (): Promise<Answer> => {
      if (caller.startsWith('token:')) context.limits.checkThrottle(caller)
      if (api === '/graphql') return graphql({ ...request, query: url.searchParams })
      if (restPath === undefined) return answerOpenId(context, request.method, url.pathname) ?? text(404, 'Not Found')
      const ipAddress =
        request.headers['x-forwarded-for']?.split(',')[0]?.trim() ?? request.remoteAddress ?? '127.0.0.1'
      return handleRest(context, { ...request, path: restPath, query: url.searchParams, ipAddress, signal }, matched)
    }

    try {
      const answer = await withFault(faults.strike(subject), async () => {
        try {
          return await process()
        } catch (error) {
          if (error instanceof Refusal) return error.answer
          throw error
        }
      })
      const body = request.method === 'HEAD' ? '' : answer.body
      seen(answer.status, Buffer.byteLength(body))
      return dated({ ...answer, body })
    } catch (error) {
      if (!(error instanceof ConnectionBroken) && !signal.aborted) {
        log.error({ err: error, ...subject }, 'the simulated GitLab failed to answer')
        seen(500, 0)
        return dated(json(500, { message: '500 Internal Server Error' }))
      }
      seen(0, 0)
      throw error
    } finally {
      forget()
    }

    function dated(answer: CoreAnswer): CoreAnswer {
      return { ...answer, headers: { ...answer.headers, date: new Date(state.nowMs()).toUTCString() } }
    }

    async function withFault(fault: Fault | undefined, work: () => Promise<Answer>): Promise<CoreAnswer> {
      switch (fault?.kind) {
        case undefined:
          return work()
        case 'slow':
          // Rails does not notice that the caller went away: what is late is carried out nevertheless.
          await clock.sleep(fault.delayMs, closing.signal)
          return work()
        case 'reset':
          throw new ConnectionBroken()
        case 'lostReply':
          await work()
          throw new ConnectionBroken()
        case 'drip':
        case 'truncated':
          return { ...(await work()), delivery: fault }
        case 'status':
          return faultAnswer(fault)
        case 'throttled':
          return context.limits.throttled(1, fault.retryAfterSeconds)
        case 'limited':
          return applicationLimited()
        case 'hang':
          return hang(clock, signal)
      }
    }
  }

  return {
    handle,
    state,
    faults,
    setExternalUrl: url => {
      context.externalUrl = url
    },
    close: () => {
      cancelHousekeeping()
      queue.close()
      closing.abort(new ConnectionBroken())
    },
  }
}

/** Aborts with the first of the signals; the returned function stops listening to them. */
function follow(controller: AbortController, signals: readonly AbortSignal[]): () => void {
  const stop = signals.map(signal => {
    const onAbort = () => controller.abort(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    return () => signal.removeEventListener('abort', onAbort)
  })
  return () => {
    for (const forget of stop) forget()
  }
}

/** Whose request it is, for the log, the counters and the faults; never the secret itself. */
function callerOf(
  context: Context,
  request: CoreRequest,
  query: URLSearchParams,
  restPath: string | undefined,
): string {
  const presented = presentedToken(request.headers, query)
  const token = presented && context.store.tokens.get(presented.secret)
  if (token) return `token:${token.name}`
  const jobId = /^\/jobs\/(\d+)/.exec(restPath ?? '')?.[1]
  if (jobId !== undefined) return `job:${jobId}`
  if (restPath !== undefined && /^\/(jobs\/request|runners)/.test(restPath)) {
    try {
      const sent = readInput(query, request.headers['content-type'], request.body).string('token')
      const runner = sent === undefined ? undefined : context.store.runnerByToken(sent)
      if (runner) return `runner:${runner.id}`
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
    }
  }
  return 'anonymous'
}
