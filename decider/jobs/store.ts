import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import type { JobMetrics } from './document.ts'

export interface StoreOptions {
  folder: string
  maxAgeMs: number
  maxBytes: number
  clock: Clock
  log: Log
  /** Told of each failure of the disk. */
  onError: (operation: StoreOperation) => void
  /** Another way to write a file, for proofs of what a full disk does. */
  write?: (path: string, text: string) => Promise<void>
}

export const STORE_OPERATIONS = ['open', 'write', 'read', 'remove'] as const
export type StoreOperation = (typeof STORE_OPERATIONS)[number]

export interface JobStore {
  /** Reads what is there. Never rejects: a folder that cannot be used is told, and nothing is kept then. */
  open(): Promise<void>
  has(jobId: number, podUid: string): boolean
  /** Undefined when it is not kept. A job that had several pods shows its newest. */
  get(jobId: number): Promise<JobMetrics | undefined>
  /** Whole or not at all, even when the machine dies. False when the disk refused it; that is counted, never thrown. */
  put(metrics: JobMetrics): Promise<boolean>
  /** Removes what is too old, also while no new ones come. */
  tidy(): Promise<void>
  readonly jobs: number
  readonly bytes: number
}

interface Entry {
  jobId: number
  uid: string
  bytes: number
  atMs: number
}

const FILE = /^(\d{1,16})-([0-9A-Za-z-]{1,64})\.json$/
const PARTIAL = '.partial-'
/** When the disk is full, so much of what is kept makes room for the new. */
const ROOM_SHARE = 0.1

/** One file per pod of a job, in a folder of its own, bounded by age and by size: the oldest go first. */
export function createJobStore(options: StoreOptions): JobStore {
  const { folder, maxAgeMs, maxBytes, clock, log, onError } = options
  const write = options.write ?? ((path, text) => writeFile(path, text, { mode: 0o600, flush: true }))
  const entries = new Map<string, Entry>()
  let bytes = 0
  let lastFailure = ''

  function failed(operation: StoreOperation, error: unknown): void {
    onError(operation)
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    const failure = `${operation} ${code}`
    // A full disk refuses each job: once is enough to say so.
    if (failure !== lastFailure) log.warn({ folder, operation, err: error }, 'the folder of job metrics fails')
    lastFailure = failure
  }

  function keep(entry: Entry): void {
    forget(entry)
    entries.set(nameOf(entry), entry)
    bytes += entry.bytes
  }

  function forget(entry: Pick<Entry, 'jobId' | 'uid'>): void {
    const kept = entries.get(nameOf(entry))
    if (!kept) return
    bytes -= kept.bytes
    entries.delete(nameOf(entry))
  }

  async function remove(entry: Entry): Promise<void> {
    forget(entry)
    await rm(join(folder, nameOf(entry)), { force: true }).catch((error: unknown) => failed('remove', error))
  }

  /** Removes what is too old, then the oldest until no more than `limit` bytes are left. */
  async function prune(limit: number): Promise<void> {
    const oldestFirst = [...entries.values()].sort((a, b) => a.atMs - b.atMs)
    const nowMs = clock.wallMs()
    for (const entry of oldestFirst) {
      if (bytes <= limit && nowMs - entry.atMs <= maxAgeMs) break
      await remove(entry)
    }
  }

  async function writeWhole(name: string, text: string): Promise<void> {
    const partial = join(folder, `${PARTIAL}${name}`)
    try {
      await write(partial, text)
      await rename(partial, join(folder, name))
    } catch (error) {
      await rm(partial, { force: true }).catch(() => undefined)
      throw error
    }
  }

  async function readEntry(name: string): Promise<void> {
    const [, jobId, uid] = FILE.exec(name) ?? []
    if (jobId === undefined || uid === undefined) {
      // Of a process that died while it wrote; anything else is not ours to touch.
      if (name.startsWith(PARTIAL)) await rm(join(folder, name), { force: true })
      return
    }
    const { size, mtimeMs } = await stat(join(folder, name))
    keep({ jobId: Number(jobId), uid, bytes: size, atMs: mtimeMs })
  }

  return {
    async open() {
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 })
        for (const name of await readdir(folder)) await readEntry(name)
        await prune(maxBytes)
      } catch (error) {
        failed('open', error)
      }
    },
    has: (jobId, podUid) => entries.has(nameOf({ jobId, uid: podUid })),
    async get(jobId) {
      const [newest] = [...entries.values()].filter(entry => entry.jobId === jobId).sort((a, b) => b.atMs - a.atMs)
      if (!newest) return undefined
      try {
        return parse(await readFile(join(folder, nameOf(newest)), 'utf8'))
      } catch (error) {
        failed('read', error)
        forget(newest)
        return undefined
      }
    },
    async put(metrics) {
      const text = `${JSON.stringify(metrics)}\n`
      const size = Buffer.byteLength(text)
      const entry = { jobId: metrics.job.id, uid: metrics.pod.uid, bytes: size, atMs: clock.wallMs() }
      if (size > maxBytes) {
        failed('write', Object.assign(new Error('larger than all that may be kept'), { code: 'EFBIG' }))
        return false
      }
      await prune(maxBytes - size)
      try {
        await writeWhole(nameOf(entry), text)
      } catch (error) {
        failed('write', error)
        if (entries.size === 0) return false
        await prune(Math.floor(bytes * (1 - ROOM_SHARE)) - 1)
        try {
          await writeWhole(nameOf(entry), text)
        } catch (again) {
          failed('write', again)
          return false
        }
      }
      lastFailure = ''
      keep(entry)
      return true
    },
    tidy: () => prune(maxBytes),
    get jobs() {
      return entries.size
    },
    get bytes() {
      return bytes
    },
  }
}

/** Throws for what this version did not write. */
function parse(text: string): JobMetrics {
  const value: unknown = JSON.parse(text)
  if (typeof value === 'object' && value !== null && Reflect.get(value, 'schema') === 1) return value as JobMetrics
  throw new Error('the file is none of ours, or of another version')
}

function nameOf({ jobId, uid }: Pick<Entry, 'jobId' | 'uid'>): string {
  return `${jobId}-${uid}.json`
}
