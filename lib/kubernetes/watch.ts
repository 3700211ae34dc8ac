import type { Clock, Random } from '../service/clock.ts'
import type { Log } from '../service/log.ts'
import { asObject, listAll } from './client.ts'
import type { Call, Connection } from './connection.ts'
import { KubernetesError } from './errors.ts'
import type { KubernetesObject } from './types.ts'

export interface WatchTiming {
  /** The server ends a watch after this long; drawn between this and 1.5 times it. */
  watchSeconds: number
  /** A watch that says nothing for this long, no bookmark either, is half-open: bookmarks come about every minute. */
  silenceMs: number
  /** First wait after a failure; doubles up to `maxBackoffMs`, with jitter. */
  minBackoffMs: number
  maxBackoffMs: number
}

export const WATCH_TIMING: WatchTiming = {
  watchSeconds: 300,
  silenceMs: 90_000,
  minBackoffMs: 500,
  maxBackoffMs: 30_000,
}

export interface WatchOptions {
  connection: Connection
  /** The collection: `/api/v1/namespaces/ci/pods`. */
  path: string
  /** For people: `pods ci`. */
  subject: string
  labelSelector?: string
  fieldSelector?: string
  clock: Clock
  random: Random
  log: Log
  timing?: WatchTiming
  /** All objects that match, after the first list and after every change; must not throw. */
  onObjects: (objects: readonly KubernetesObject[]) => void
}

export interface Watch {
  /** Milliseconds since the server last said anything, by the monotonic clock; undefined before the first list. */
  silentForMs(): number | undefined
  stop(): Promise<void>
}

/** What is known, and from where a watch can go on. */
interface View {
  objects: Map<string, KubernetesObject>
  version: string
}

/**
 * Keeps a collection in view until stopped: lists, watches from there, and starts again after any error with growing,
 * jittered waits. 410 lists again; a broken or silent watch goes on from the last version seen.
 */
export function startWatch(options: WatchOptions): Watch {
  const { connection, path, subject, clock, random, log, timing = WATCH_TIMING, onObjects } = options
  const stopping = new AbortController()
  const isStopping = () => stopping.signal.aborted
  const selectors = {
    ...(options.labelSelector !== undefined && { labelSelector: options.labelSelector }),
    ...(options.fieldSelector !== undefined && { fieldSelector: options.fieldSelector }),
  }
  const call: Call = { method: 'GET', path, subject, signal: stopping.signal }
  let view: View | undefined
  let failures = 0
  let heardAtMs: number | undefined

  function heard(): void {
    heardAtMs = clock.monotonicMs()
  }

  async function list(): Promise<View> {
    const { items, resourceVersion } = await listAll(connection, call, selectors)
    heard()
    const listed = { objects: new Map(items.map(item => [keyOf(item), item])), version: resourceVersion }
    onObjects([...listed.objects.values()])
    return listed
  }

  /** Returns at the clean end of a watch; throws otherwise. */
  async function follow(current: View): Promise<void> {
    const quiet = new AbortController()
    const giveUp = () => quiet.abort(new Error(`silent for ${timing.silenceMs} ms`))
    let cancel = clock.after(timing.silenceMs, giveUp)
    const timeoutSeconds = Math.ceil(timing.watchSeconds * (1 + random() / 2))
    const query = {
      ...selectors,
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion: current.version,
      timeoutSeconds: String(timeoutSeconds),
    }
    try {
      const signal = AbortSignal.any([stopping.signal, quiet.signal])
      for await (const line of connection.lines({ ...call, query, signal })) {
        cancel()
        cancel = clock.after(timing.silenceMs, giveUp)
        heard()
        take(current, line)
        failures = 0
      }
    } finally {
      cancel()
    }
  }

  function take(current: View, line: string): void {
    const { type, object } = readEvent(call, line)
    const key = keyOf(object)
    const { resourceVersion } = object.metadata
    if (resourceVersion !== undefined) current.version = resourceVersion
    if (type === 'BOOKMARK') return
    if (type === 'DELETED') current.objects.delete(key)
    else current.objects.set(key, object)
    onObjects([...current.objects.values()])
  }

  async function run(): Promise<void> {
    while (!isStopping()) {
      const startedMs = clock.monotonicMs()
      try {
        view ??= await list()
        await follow(view)
        // A server that ends watches at once must not be asked in a tight circle.
        if (clock.monotonicMs() - startedMs < timing.minBackoffMs) failures++
        else failures = 0
      } catch (error) {
        if (isStopping()) return
        if (error instanceof KubernetesError && error.kind === 'expired') view = undefined
        failures++
        log.warn({ err: error, subject, failures }, 'a watch broke, it is started again')
      }
      if (failures === 0) continue
      try {
        await clock.sleep(backoffMs(failures), stopping.signal)
      } catch {
        return
      }
    }
  }

  function backoffMs(failed: number): number {
    const fullMs = Math.min(timing.maxBackoffMs, timing.minBackoffMs * 2 ** Math.min(failed - 1, 16))
    return fullMs * (0.5 + random() / 2)
  }

  const running = run()
  return {
    silentForMs: () => (heardAtMs === undefined ? undefined : clock.monotonicMs() - heardAtMs),
    stop: () => {
      stopping.abort(new Error('the watch is stopped'))
      return running
    },
  }
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'

/** Throws the error that an ERROR event carries: most often 410, the version is too old. */
function readEvent(call: Call, line: string): { type: EventType; object: KubernetesObject } {
  let event: unknown
  try {
    event = JSON.parse(line)
  } catch (cause) {
    throw new KubernetesError('invalid_answer', `WATCH ${call.subject}`, 'a line is no JSON', { cause })
  }
  const read = (from: unknown, name: string): unknown =>
    typeof from === 'object' && from !== null ? Reflect.get(from, name) : undefined
  const type = read(event, 'type')
  const object = read(event, 'object')
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      return { type, object: asObject(call, object) }
    default: {
      const message = read(object, 'message')
      const detail = typeof message === 'string' ? message : 'an unknown event'
      const kind = read(object, 'code') === 410 ? 'expired' : 'unavailable'
      throw new KubernetesError(kind, `WATCH ${call.subject}`, detail)
    }
  }
}

function keyOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`
}
