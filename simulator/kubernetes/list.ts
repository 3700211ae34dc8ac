import { json, refusals, refuse, type Answer } from './answers.ts'
import { parseText } from './body.ts'
import type { Context } from './context.ts'
import { asCoreEvent } from './kinds/event.ts'
import { apiVersionOf, RESOURCES, type Route } from './resources.ts'
import { matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector } from './selectors.ts'
import { asNumber, asRecord, asString, labelsOf, without, type KubeObject } from './values.ts'

const TOO_OLD_TOKEN =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.'
/** How long the server waits for its cache to reach a version that a client asks for. */
const FUTURE_WAIT_MS = 3000
/** A token with this version goes on with whatever there is now. */
const INCONSISTENT = -1

export type Selection = (object: KubeObject) => boolean

/** The selectors of a list or watch; 400 where they cannot be read. */
export function selectionOf({ type }: Route, query: URLSearchParams): Selection {
  const labels = parseLabelSelector(query.get('labelSelector') ?? '')
  const fields = parseFieldSelector(type, query.get('fieldSelector') ?? '')
  return object => matchesLabels(labelsOf(object), labels) && matchesFields(object, fields)
}

/** An object as the group it is read through shows it. */
export function present({ type }: Route, object: KubeObject): KubeObject {
  return type === RESOURCES.coreEvents ? asCoreEvent(object) : object
}

export async function listObjects(
  context: Context,
  route: Route,
  query: URLSearchParams,
  accept: string,
): Promise<Answer> {
  const { store } = context
  const { type, namespace } = route
  const selected = selectionOf(route, query)
  const token = readToken(query.get('continue'))
  const version = token ? token.version : await versionFor(context, query)
  if (token && version !== INCONSISTENT && version < store.floor) throw expiredToken(token.start)
  const at = version === INCONSISTENT ? store.version : version
  const after = token?.start
  const matching = store
    .list(type, namespace, at)
    .map(([key, object]) => ({ key: key.slice(namespace.length), object }))
    .filter(({ key, object }) => (after === undefined || `${key}\0` > after) && selected(object))
  const limit = Number(query.get('limit') ?? 0)
  const page = limit > 0 ? matching.slice(0, limit) : matching
  const rest = matching.length - page.length
  const last = page.at(-1)
  const unselected = !query.get('labelSelector') && !query.get('fieldSelector')
  const metadata = {
    resourceVersion: String(at),
    ...(rest > 0 && last && { continue: writeToken(at, `${last.key}\0`) }),
    ...(rest > 0 && unselected && { remainingItemCount: rest }),
  }
  const items = page.map(({ object }) => present(route, object))
  if (accept.includes('as=PartialObjectMetadataList')) return json(200, partialList(metadata, items))
  return json(200, {
    kind: `${type.kind}List`,
    apiVersion: apiVersionOf(type),
    metadata,
    // Items of a list do not say what they are.
    items: items.map(item => without(item, ['kind', 'apiVersion'])),
  })
}

function partialList(metadata: object, items: readonly KubeObject[]): object {
  const apiVersion = 'meta.k8s.io/v1'
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion,
    metadata,
    items: items.map(item => ({ kind: 'PartialObjectMetadata', apiVersion, metadata: item['metadata'] })),
  }
}

async function versionFor({ store, clock, closing }: Context, query: URLSearchParams): Promise<number> {
  const wanted = Number(query.get('resourceVersion') ?? 0)
  if (query.get('resourceVersionMatch') === 'Exact') {
    if (wanted < store.floor) {
      throw refuse({
        message: 'The resourceVersion for the provided list is too old.',
        reason: 'Expired',
        code: 410,
      })
    }
    return wanted
  }
  if (wanted > store.version) {
    await clock.sleep(FUTURE_WAIT_MS, closing)
    if (wanted > store.version) throw tooLarge(wanted, store.version)
  }
  return store.version
}

function tooLarge(wanted: number, current: number) {
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }]
  return refuse(
    {
      message: `Timeout: Too large resource version: ${wanted}, current: ${current}`,
      reason: 'Timeout',
      details: { causes, retryAfterSeconds: 1 },
      code: 504,
    },
    { 'retry-after': '1' },
  )
}

interface Token {
  version: number
  start: string
}

function writeToken(version: number, start: string): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: version, start })).toString('base64url')
}

function readToken(text: string | null): Token | undefined {
  if (text === null || text === '') return undefined
  const decoded = Buffer.from(text, 'base64url').toString('utf8')
  const token = asRecord(parseText(decoded))
  const version = asNumber(token?.['rv'])
  const start = asString(token?.['start'])
  if (version === undefined || start === undefined) {
    throw refusals.badRequest(
      `invalid continue token: continue key is not valid: invalid character '${decoded.charAt(0)}' looking for beginning of value`,
    )
  }
  // The token of an inconsistent list has no leading slash.
  return { version, start: start.startsWith('/') ? start : `/${start}` }
}

function expiredToken(start: string) {
  const fresh = writeToken(INCONSISTENT, start.replace(/^\//, ''))
  return refuse({ message: TOO_OLD_TOKEN, reason: 'Expired', metadata: { continue: fresh }, code: 410 })
}
