import { type File, type LastOwn, NAMES } from './local.ts'

/** One cluster as GitLab has it, with what is under way to GitLab: at most one write of each kind. */
export interface Cluster {
  file: File
  tagged: boolean
  /** A publish that has not landed yet. */
  late: File
  /** A removal of the tag by its own decider has not landed yet. */
  removal: boolean
  /** Whose fencing of this cluster has not landed yet. */
  fencedBy: number | null
  /** Dead for longer than any proof of its life lasts. */
  gone: boolean
  /** Published within T_dead + 2 P. */
  spoke: boolean
}

/**
 * `leaving`: has decided to yield, and publishes inactive next. `yielding`: has published and seen that; the last look and
 * the removal come next. `ours`: the epoch of the own claim when that was decided.
 */
export type Phase =
  { kind: 'idle' } | { kind: 'adding' } | { kind: 'leaving' | 'yielding'; winner: number; ours: number | null }

export interface Process {
  phase: Phase
  lastOwn: LastOwn
  quarantined: boolean
}

export interface World {
  clusters: readonly Cluster[]
  /** One per cluster; a last one more is the second process of cluster a. */
  processes: readonly Process[]
  /** The second process of cluster a leads. */
  secondLeads: boolean
}

export const IDLE: Process = { phase: { kind: 'idle' }, lastOwn: 'inactive', quarantined: false }

const FILES = 16
const LAST_OWN = ['none', 'inactive', 'active'] as const
const KINDS = ['idle', 'adding', 'leaving', 'yielding'] as const

export function fileCode(file: File): number {
  return file ? 1 + 2 * file.epoch + Number(file.active) : 0
}

function fileOf(code: number): File {
  return code === 0 ? null : { epoch: (code - 1) >> 1, active: (code - 1) % 2 === 1 }
}

/** What deciders can read of a cluster, and may believe. */
export function publicCode({ file, tagged, gone, spoke }: Cluster): number {
  return fileCode(file) + FILES * (Number(tagged) + 2 * Number(gone) + 4 * Number(spoke))
}

function clusterCode(cluster: Cluster): number {
  const { late, removal, fencedBy } = cluster
  const underWay = Number(removal) + 2 * (fencedBy === null ? 0 : fencedBy + 1)
  return publicCode(cluster) + 8 * FILES * (fileCode(late) + FILES * underWay)
}

function clusterOf(code: number): Cluster {
  const flags = Math.floor(code / FILES) % 8
  const underWay = Math.floor(code / (8 * FILES * FILES))
  return {
    file: fileOf(code % FILES),
    tagged: flags % 2 === 1,
    gone: (flags >> 1) % 2 === 1,
    spoke: flags >> 2 === 1,
    late: fileOf(Math.floor(code / (8 * FILES)) % FILES),
    removal: underWay % 2 === 1,
    fencedBy: underWay >> 1 === 0 ? null : (underWay >> 1) - 1,
  }
}

export function processCode({ phase, lastOwn, quarantined }: Process): number {
  const detail = 'winner' in phase ? phase.winner + 4 * (phase.ours === null ? 0 : phase.ours + 1) : 0
  return Number(quarantined) + 2 * (LAST_OWN.indexOf(lastOwn) + 4 * (KINDS.indexOf(phase.kind) + 4 * detail))
}

function processOf(code: number): Process {
  const kind = KINDS[(code >> 3) % 4] ?? 'idle'
  const winner = (code >> 5) % 4
  const ours = code >> 7
  const phase: Phase =
    kind === 'idle' || kind === 'adding' ? { kind } : { kind, winner, ours: ours === 0 ? null : ours - 1 }
  return { phase, lastOwn: LAST_OWN[(code >> 1) % 4] ?? 'none', quarantined: code % 2 === 1 }
}

const clusters: (Cluster | undefined)[] = []
const processes: (Process | undefined)[] = []

/** A world as a few characters; equal worlds, equal keys. */
export function keyOf({ clusters, processes, secondLeads }: World): string {
  return String.fromCharCode(...clusters.map(clusterCode), ...processes.map(processCode), Number(secondLeads))
}

export function worldOf(key: string, clusterCount: number): World {
  const codes = Array.from(key, char => char.charCodeAt(0))
  return {
    clusters: codes.slice(0, clusterCount).map(code => (clusters[code] ??= clusterOf(code))),
    processes: codes.slice(clusterCount, -1).map(code => (processes[code] ??= processOf(code))),
    secondLeads: codes.at(-1) === 1,
  }
}

/**
 * The same world with the lowest epochs that keep their order. An inactive file's epoch is of account only while none is
 * higher; others count as the lowest.
 */
export function withLowEpochs(world: World): World {
  const { clusters, processes } = world
  let highest = 0
  for (const { file } of clusters) if (file && file.epoch > highest) highest = file.epoch
  let used = 1
  let idle = false
  for (const { file, late } of clusters) {
    if (file && counts(file, highest)) used |= 1 << file.epoch
    else idle ||= file !== null && file.epoch > 0
    if (late && counts(late, highest)) used |= 1 << late.epoch
    else idle ||= late !== null && late.epoch > 0
  }
  for (const { phase } of processes) if ('ours' in phase && phase.ours !== null) used |= 1 << phase.ours
  if (!idle && (used & (used + 1)) === 0) return world
  return {
    ...world,
    clusters: clusters.map(cluster => ({
      ...cluster,
      file: lowered(cluster.file, used, highest),
      late: lowered(cluster.late, used, highest),
    })),
    processes: processes.map(process => {
      const { phase } = process
      if (!('ours' in phase) || phase.ours === null) return process
      return { ...process, phase: { ...phase, ours: bitsBelow(used, phase.ours) } }
    }),
  }
}

function counts(file: NonNullable<File>, highest: number): boolean {
  return file.active || file.epoch === highest
}

function lowered(file: File, used: number, highest: number): File {
  return file && { ...file, epoch: counts(file, highest) ? bitsBelow(used, file.epoch) : 0 }
}

function bitsBelow(used: number, epoch: number): number {
  let count = 0
  for (let bits = used & ((1 << epoch) - 1); bits > 0; bits &= bits - 1) count++
  return count
}

export function showFile(file: File): string {
  return file ? `${file.active ? 'active' : 'inactive'}@${file.epoch}` : 'no file'
}

export function showWorld({ clusters }: World): string {
  const shown = clusters.map(({ file, tagged, late, removal, fencedBy, gone }, index) =>
    [
      `${NAMES[index] ?? ''}: ${tagged ? 'tagged' : 'untagged'}, ${showFile(file)}`,
      late ? `late ${showFile(late)}` : '',
      removal ? 'removal under way' : '',
      fencedBy === null ? '' : 'fencing under way',
      gone ? 'dead' : '',
    ]
      .filter(Boolean)
      .join(', '),
  )
  return `[${shown.join(' | ')}]`
}
