import { Ajv, type ValidateFunction } from 'ajv'
import type { Control, ControlReading, FileReading, PoolStatus } from './model.ts'

/** A cluster's whole `status.json`. One publisher per process owns it; pools hand it their parts. */
export interface StatusDocument {
  schema: 1
  cluster: string
  /** Grows with every publish. */
  seq: number
  decider: { id: string; version: string }
  /** Said on shutdown, for people; nothing is decided from it. */
  leaving?: boolean
  pools: Record<string, PoolStatus>
}

interface ControlDocument {
  schema: 1
  pools: Record<string, unknown>
}

interface Wishes {
  pause?: { until: string; by: string; why: string }
  pin?: { to: string; until: string; by: string; why: string; force?: boolean }
}

/** Far below where adding one changes nothing: an epoch that none can exceed would end all claims. */
const count = { type: 'integer', minimum: 0, maximum: 1e15 }
const text = { type: 'string', maxLength: 2000 }

const statusSchema = {
  type: 'object',
  required: ['schema', 'cluster', 'seq', 'decider', 'pools'],
  properties: {
    schema: { const: 1 },
    cluster: { type: 'string' },
    seq: count,
    decider: { type: 'object', required: ['id', 'version'], properties: { id: text, version: text } },
    leaving: { type: 'boolean' },
    pools: { type: 'object', maxProperties: 1000 },
  },
}

/** Each pool's part on its own, so that one broken part hides only itself. */
const poolSchema = {
  type: 'object',
  required: [
    'digest',
    'epoch',
    'active',
    'available',
    'total',
    'desired',
    'lastKnown',
    'unknownForSeconds',
    'servingIds',
    'reason',
  ],
  properties: {
    digest: { type: 'string' },
    epoch: count,
    active: { type: 'boolean' },
    available: { ...count, nullable: true },
    total: count,
    desired: { ...count, nullable: true },
    lastKnown: count,
    unknownForSeconds: { type: 'number', minimum: 0 },
    servingIds: { type: 'array', items: count, maxItems: 100_000 },
    reason: text,
    updating: { type: 'boolean' },
  },
}

const controlSchema = {
  type: 'object',
  required: ['schema', 'pools'],
  properties: { schema: { const: 1 }, pools: { type: 'object' } },
}

const wish = { until: { type: 'string' }, by: text, why: text }

/** Each pool's wishes on their own, too. */
const wishesSchema = {
  type: 'object',
  properties: {
    pause: { type: 'object', required: ['until', 'by', 'why'], properties: wish },
    pin: {
      type: 'object',
      required: ['to', 'until', 'by', 'why'],
      properties: { ...wish, to: { type: 'string' }, force: { type: 'boolean' } },
    },
  },
}

const ajv = new Ajv({ allErrors: false, strictTypes: false })
const isStatus: ValidateFunction<StatusDocument> = ajv.compile(statusSchema)
const isPoolStatus: ValidateFunction<PoolStatus> = ajv.compile(poolSchema)
const isControl: ValidateFunction<ControlDocument> = ajv.compile(controlSchema)
const isWishes: ValidateFunction<Wishes> = ajv.compile(wishesSchema)

/** Reads a cluster's status file; undefined text: there is none. Parts that are no pool status are left out. */
export function readStatusDocument(
  content: string | null,
  cluster: string,
): { kind: 'absent' } | { kind: 'unreadable'; why: string } | { kind: 'read'; document: StatusDocument } {
  if (content === null) return { kind: 'absent' }
  const parsed = parseJson(content)
  if (parsed === undefined) return { kind: 'unreadable', why: 'not JSON' }
  if (!isStatus(parsed)) return { kind: 'unreadable', why: firstError(isStatus) }
  if (parsed.cluster !== cluster) return { kind: 'unreadable', why: `speaks for cluster ${parsed.cluster}` }
  const pools = Object.fromEntries(Object.entries(parsed.pools).filter(([, part]) => isPoolStatus(part)))
  return { kind: 'read', document: { ...parsed, pools } }
}

/** One pool's view of a status file. */
export function readPoolStatus(content: string | null, cluster: string, pool: string): FileReading {
  const reading = readStatusDocument(content, cluster)
  if (reading.kind !== 'read') return reading
  const status = Object.hasOwn(reading.document.pools, pool) ? reading.document.pools[pool] : undefined
  if (!status) return { kind: 'unreadable', why: `has no valid part for pool ${pool}` }
  return { kind: 'read', seq: reading.document.seq, status }
}

/** People's wishes for one pool. No file at all is a clear answer: no wishes. */
export function readControl(content: string | null, pool: string): ControlReading {
  if (content === null) return { kind: 'read', control: {} }
  const parsed = parseJson(content)
  if (parsed === undefined) return { kind: 'unreadable', why: 'not JSON' }
  if (!isControl(parsed)) return { kind: 'unreadable', why: firstError(isControl) }
  const wishes = Object.hasOwn(parsed.pools, pool) ? parsed.pools[pool] : {}
  if (!isWishes(wishes)) return { kind: 'unreadable', why: `/pools/${pool}${firstError(isWishes)}` }
  const control: Control = {}
  if (wishes.pause) {
    const untilMs = instantOf(wishes.pause.until)
    if (untilMs === undefined) return { kind: 'unreadable', why: `/pools/${pool}/pause/until is no instant` }
    control.pause = { untilMs, by: wishes.pause.by, why: wishes.pause.why }
  }
  if (wishes.pin) {
    const untilMs = instantOf(wishes.pin.until)
    if (untilMs === undefined) return { kind: 'unreadable', why: `/pools/${pool}/pin/until is no instant` }
    const { to, by, why, force = false } = wishes.pin
    control.pin = { to, untilMs, by, why, force }
  }
  return { kind: 'read', control }
}

/** ISO 8601 with time and zone. `Date.parse` alone takes "day 1" for 2001, and no zone for this machine's. */
function instantOf(text: string): number | undefined {
  const complete = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text)
  const ms = complete ? Date.parse(text) : NaN
  return Number.isNaN(ms) ? undefined : ms
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content) as unknown
  } catch {
    return undefined
  }
}

function firstError({ errors }: ValidateFunction): string {
  const [error] = errors ?? []
  return error ? `${error.instancePath || '/'} ${error.message ?? 'is invalid'}` : 'is invalid'
}
