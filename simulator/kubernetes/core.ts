import { systemClock, type Clock, type Random } from '../../lib/service/clock.ts'
import { silentLog, type Log } from '../../lib/service/log.ts'
import { Access, type Account } from './access.ts'
import { WebhookCaller } from './admission/caller.ts'
import { evaluateKnownCondition, type ConditionEvaluator } from './admission/match.ts'
import { json, refusals, refuse, Refusal, text, type Answer } from './answers.ts'
import { namedByField, resourceOf, verbOf } from './attempt.ts'
import { readOptions } from './body.ts'
import { timestamp, type Context } from './context.ts'
import { answerDiscovery } from './discovery.ts'
import { Faults, type Fault } from './faults.ts'
import { scaleOf } from './kinds/deployment.ts'
import { listObjects, present } from './list.ts'
import { findType, isKnownGroup, parsePath, RESOURCES, type ParsedPath, type Route } from './resources.ts'
import { createState, type KubernetesState } from './state.ts'
import { Store } from './store.ts'
import { watchObjects } from './watch.ts'
import { createObject, deleteObject, patchObject, replaceObject } from './writes.ts'

export interface KubernetesOptions {
  clock?: Clock
  random?: Random
  log?: Log
  /** Evaluates CEL in match conditions; by default only the project's own three expressions are known. */
  evaluateCondition?: ConditionEvaluator
  /** Whether RBAC refuses anybody. Default false: without a token one is the administrator. */
  rbac?: boolean
}

export interface CoreRequest {
  method: string
  /** Path and query. */
  path: string
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>
  body: string
  signal?: AbortSignal
}

/** The connection is to break without an answer. */
export class ConnectionBroken extends Error {
  constructor() {
    super('the simulated API server breaks the connection')
    this.name = 'ConnectionBroken'
  }
}

export interface KubernetesCore {
  /** Rejects with ConnectionBroken when the connection is to break, with the signal's reason when the caller gives up. */
  handle(request: CoreRequest): Promise<Answer>
  readonly state: KubernetesState
  readonly faults: Faults
  /** Ends waits, watches and the connections to webhooks. */
  close(): void
}

/** A Kubernetes API server without a listening socket: waits go through the clock, chance through `random`. */
export function createKubernetes(options: KubernetesOptions = {}): KubernetesCore {
  const { clock = systemClock, random = Math.random, log = silentLog } = options
  const closing = new AbortController()
  const originMs = clock.wallMs() - clock.monotonicMs()
  const context: Context = {
    clock,
    random,
    log,
    store: new Store(),
    access: new Access(),
    caller: new WebhookCaller(clock),
    evaluateCondition: options.evaluateCondition ?? evaluateKnownCondition,
    serviceAccounts: new Set(),
    audits: [],
    nowMs: () => originMs + clock.monotonicMs(),
    watchesFrozen: false,
    closing: closing.signal,
  }
  context.access.enforced = options.rbac ?? false
  const state = createState(context)
  const faults = new Faults(random)

  async function handle(request: CoreRequest): Promise<Answer> {
    const url = new URL(request.path, 'http://simulated')
    const parsed = parsePath(url.pathname)
    const verb = verbOf(request.method, parsed, url.searchParams)
    const resource = parsed ? resourceOf(parsed) : url.pathname
    try {
      const account = context.access.identify(request.headers['authorization'])
      const fault = faults.strike({ verb, resource, username: account.user.username })
      state.requests.push({ atMs: context.nowMs(), verb, resource, username: account.user.username })
      return await withFault(fault, request.signal, () => process(request, url, parsed, verb, account))
    } catch (error) {
      if (error instanceof Refusal) return error.answer
      if (error instanceof ConnectionBroken || closing.signal.aborted || request.signal?.aborted) throw error
      log.error({ err: error, verb, resource }, 'the simulated API server failed to answer')
      return refuse({ message: 'Internal error occurred', reason: 'InternalError', code: 500 }).answer
    }
  }

  async function process(
    request: CoreRequest,
    url: URL,
    parsed: ParsedPath | undefined,
    verb: string,
    account: Account,
  ): Promise<Answer> {
    const discovery = answerDiscovery(request.method, url.pathname)
    if (discovery) return discovery
    if (!parsed || !isKnownGroup(parsed.group)) return text(404, '404 page not found\n')
    const review = request.method === 'POST' ? reviewOf(parsed, account, request.body) : undefined
    if (review) return review
    const type = findType(parsed)
    if (!type) throw refusals.noSuchResource()
    const { name, subresource } = parsed
    if (subresource !== undefined && !type.subresources.includes(subresource)) throw refusals.noSuchResource()
    const namespace = type.namespaced ? parsed.namespace : ''
    const route: Route = {
      type,
      namespace,
      ...(name !== undefined && { name }),
      ...(subresource !== undefined && { subresource }),
    }
    const attempted = name ?? namedByField(url.searchParams)
    context.access.check(account, {
      verb,
      group: type.group,
      resource: resourceOf(parsed),
      namespace,
      ...(attempted !== undefined && { name: attempted }),
    })
    checkAccept(request.headers['accept'])
    const write = {
      route,
      account,
      query: url.searchParams,
      contentType: request.headers['content-type'] ?? '',
      body: request.body,
    }
    switch (verb) {
      case 'get':
        return json(200, getObject(route))
      case 'list':
        return listObjects(context, route, url.searchParams, request.headers['accept'] ?? '')
      case 'watch':
        return watchObjects(context, route, url.searchParams, request.signal)
      case 'create':
        if (type === RESOURCES.coreEvents) throw refusals.methodNotAllowed()
        return createObject(context, write)
      case 'update':
        return replaceObject(context, write)
      case 'patch':
        return patchObject(context, write)
      case 'delete':
        return deleteObject(context, write)
      default:
        throw refusals.methodNotAllowed()
    }
  }

  function getObject(route: Route) {
    const { type, namespace, name = '' } = route
    const object = context.store.get(type, namespace, name)
    if (!object) throw refusals.notFound(type, name)
    return route.subresource === 'scale' ? scaleOf(object) : present(route, object)
  }

  /** Reviews about the caller: nothing is stored. */
  function reviewOf({ group, plural }: ParsedPath, account: Account, body: string): Answer | undefined {
    if (group === 'authorization.k8s.io' && plural === 'selfsubjectaccessreviews') {
      return context.access.review(account, readOptions(body))
    }
    if (group !== 'authentication.k8s.io' || plural !== 'selfsubjectreviews') return undefined
    return json(201, {
      kind: 'SelfSubjectReview',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { creationTimestamp: timestamp(context.nowMs()) },
      status: { userInfo: account.user },
    })
  }

  async function withFault(
    fault: Fault | undefined,
    signal: AbortSignal | undefined,
    work: () => Promise<Answer>,
  ): Promise<Answer> {
    switch (fault?.kind) {
      case undefined:
        return work()
      case 'slow':
        await clock.sleep(fault.delayMs, closing.signal)
        return work()
      case 'reset':
        throw new ConnectionBroken()
      case 'lostReply':
        await work()
        throw new ConnectionBroken()
      case 'status':
        return faultAnswer(fault)
      case 'hang':
        return hang(signal ? AbortSignal.any([closing.signal, signal]) : closing.signal)
    }
  }

  return {
    handle,
    state,
    faults,
    close: () => {
      closing.abort(new ConnectionBroken())
      context.caller.close()
    },
  }
}

function checkAccept(accept: string | undefined): void {
  if (accept === undefined || /json|yaml|\*/.test(accept)) return
  throw refuse({
    message:
      '406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch',
    reason: 'NotAcceptable',
    details: {},
    code: 406,
  })
}

function faultAnswer({ status, body, headers = {} }: Extract<Fault, { kind: 'status' }>): Answer {
  if (body !== undefined) return { status, headers, body }
  const { answer } = refuse({ message: `the simulated API server answers ${status}`, code: status }, headers)
  return answer
}

function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = () => reject(new ConnectionBroken())
    if (signal.aborted) fail()
    signal.addEventListener('abort', fail, { once: true })
  })
}
