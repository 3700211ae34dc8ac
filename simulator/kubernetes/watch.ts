import { fieldErrors, refusals, refuse, statusObject, type Answer } from './answers.ts'
import type { Context } from './context.ts'
import { present, selectionOf, type Selection } from './list.ts'
import { apiVersionOf, type Route } from './resources.ts'
import type { Change } from './store.ts'
import { clone, metadataOf, type KubeObject } from './values.ts'

const BOOKMARK_EVERY_MS = 60_000
/** The last bookmark comes this long before the end of the watch. */
const LAST_BOOKMARK_MS = 1500
/** A shorter watch ends without that bookmark. */
const MIN_FOR_BOOKMARK_MS = 5000
/** Without `timeoutSeconds` the server ends a watch after one to two times this. */
const DEFAULT_TIMEOUT_MS = 30 * 60_000

/** Answers a watch: at once with an error, or with a stream of lines. */
export function watchObjects(
  context: Context,
  route: Route,
  query: URLSearchParams,
  gone: AbortSignal | undefined,
): Answer {
  const selected = selectionOf(route, query)
  const initial = query.get('sendInitialEvents') === 'true'
  if (initial && query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw refusals.invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [
      fieldErrors.forbidden(
        'resourceVersionMatch',
        'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      ),
    ])
  }
  const wanted = query.get('resourceVersion') ?? ''
  if (!/^\d*$/.test(wanted)) {
    throw refuse({
      message: `resourceVersion: Invalid value: "${wanted}": strconv.ParseUint: parsing "${wanted}": invalid syntax`,
      code: 500,
    })
  }
  const seconds = Number(query.get('timeoutSeconds') ?? 0)
  const timeoutMs = seconds > 0 ? seconds * 1000 : DEFAULT_TIMEOUT_MS * (1 + context.random())
  const events = stream(context, {
    route,
    selected,
    initial,
    from: Number(wanted),
    timeoutMs,
    bookmarks: query.get('allowWatchBookmarks') === 'true',
    gone,
  })
  return { status: 200, headers: { 'content-type': 'application/json' }, body: '', events }
}

interface Watch {
  route: Route
  selected: Selection
  /** Zero: first everything that exists. */
  from: number
  initial: boolean
  timeoutMs: number
  bookmarks: boolean
  /** Aborts when the client went away. */
  gone: AbortSignal | undefined
}

async function* stream(context: Context, watch: Watch): AsyncGenerator<string> {
  const { store, clock } = context
  const { route, selected, from } = watch
  if (from !== 0 && from < store.floor) {
    const message = `too old resource version: ${from} (${store.floor})`
    yield line('ERROR', statusObject({ message, reason: 'Expired', code: 410 }))
    return
  }
  const queue = new Queue()
  const send = (text: string) => {
    if (!context.watchesFrozen) queue.push(text)
  }
  const bookmark = (annotations?: object) => send(line('BOOKMARK', bookmarkOf(route, store.version, annotations)))
  const deliver = (change: Change) => {
    if (change.storage !== route.type.storage || change.version <= from) return
    if (route.namespace !== '' && !change.key.startsWith(`${route.namespace}/`)) return
    const text = eventOf(route, change, selected)
    if (text !== undefined) send(text)
  }

  if (from === 0 || watch.initial) {
    for (const [, object] of store.list(route.type, route.namespace)) {
      if (selected(object)) send(line('ADDED', present(route, object)))
    }
    if (watch.initial && watch.bookmarks) bookmark({ 'k8s.io/initial-events-end': 'true' })
  } else for (const change of store.since(route.type, from)) deliver(change)

  const stops = [store.subscribe(deliver)]
  if (watch.bookmarks) {
    let cancel: () => void = () => undefined
    const again = () => {
      cancel = clock.after(BOOKMARK_EVERY_MS, () => {
        bookmark()
        again()
      })
    }
    again()
    stops.push(() => cancel())
    if (watch.timeoutMs > MIN_FOR_BOOKMARK_MS) {
      stops.push(clock.after(watch.timeoutMs - LAST_BOOKMARK_MS, bookmark))
    }
  }
  stops.push(clock.after(watch.timeoutMs, () => queue.end()))
  const onClose = () => queue.end()
  for (const signal of [context.closing, watch.gone]) {
    if (signal?.aborted) onClose()
    signal?.addEventListener('abort', onClose, { once: true })
    stops.push(() => signal?.removeEventListener('abort', onClose))
  }
  try {
    yield* queue.lines()
  } finally {
    for (const stop of stops) stop()
  }
}

/** Leaving the selection is a deletion, with the last state that was in it; coming back is an addition. */
function eventOf(route: Route, change: Change, selected: Selection): string | undefined {
  const { type, object, previous } = change
  const before = previous !== undefined && selected(previous)
  const now = type !== 'DELETED' && selected(object)
  if (now) return line(before ? 'MODIFIED' : 'ADDED', present(route, object))
  if (!before) return undefined
  const last = clone(previous)
  metadataOf(last)['resourceVersion'] = String(change.version)
  return line('DELETED', present(route, last))
}

function bookmarkOf({ type }: Route, version: number, annotations?: object): KubeObject {
  const metadata = { resourceVersion: String(version), ...(annotations && { annotations }) }
  const empty = type.kind === 'Pod' ? { spec: { containers: null }, status: {} } : { spec: {} }
  return { kind: type.kind, apiVersion: apiVersionOf(type), metadata, ...empty }
}

function line(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`
}

/** What was pushed, in order, to one reader. */
class Queue {
  #pending: string[] = []
  #ended = false
  #wake: () => void = () => undefined

  push(text: string): void {
    this.#pending.push(text)
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  async *lines(): AsyncGenerator<string> {
    for (;;) {
      const ready = this.#pending
      this.#pending = []
      yield* ready
      if (this.#pending.length > 0) continue
      if (this.#ended) return
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}
