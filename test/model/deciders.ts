import {
  type Decided,
  type File,
  type Intent,
  type Knowledge,
  type LastOwn,
  type LocalView,
  decideIn,
  mayRemove,
} from './local.ts'
import { type Process, type World, IDLE, fileCode, processCode, publicCode } from './states.ts'

export const VARIANTS = [
  'claimAlone',
  'noTotalOrder',
  'noReadBack',
  'cappedClock',
  'priorityInClaim',
  'noPatience',
  'noQuarantine',
  'noLease',
] as const
/** A protocol without one of its rules. */
export type Variant = (typeof VARIANTS)[number]

export interface Scope {
  clusters: 2 | 3
  /** Promotions beyond this epoch are left out. */
  maxEpoch: number
  /** How many publishes may be under way at the same time, one per cluster. */
  late: number
  deaths: boolean
  /** `late`: they land at any later moment; `prompt`: at once. */
  fences: 'none' | 'prompt' | 'late'
  /** Cluster a has two processes. */
  siblings: boolean
  variant?: Variant
}

export interface Choice {
  intent: Intent
  after: Partial<Process>
}

const TRUST: readonly Knowledge[] = ['proven', 'live', 'dead']

/**
 * The real deciders' decisions in every situation of a scope, computed once each. A broken variant is the real decider,
 * shown a world in which the rule says nothing.
 */
export function createDeciders({ clusters, variant }: Scope) {
  const indices = Array.from({ length: clusters }, (_, index) => index)
  /** The decider is shown epochs that are none. */
  const falseEpochs = variant === 'noTotalOrder' || variant === 'priorityInClaim'
  const homeOf = (process: number) => process % clusters
  const choices = new Map<string, readonly Choice[]>()
  const looks = new Map<string, boolean>()
  const views = new Map<string, Decided>()
  const starts = new Map<number, Process>()

  type Base = Omit<LocalView, 'knowledge' | 'pinned' | 'fresh' | 'word'>

  function baseOf(world: World, process: number): Base {
    const self = homeOf(process)
    const { lastOwn, quarantined } = world.processes[process] ?? IDLE
    const doubtful = Boolean(world.clusters[self]?.late) || world.clusters.some(({ fencedBy }) => fencedBy === self)
    return {
      clusters,
      self,
      files: world.clusters.map(({ file }) => file),
      tags: world.clusters.map(({ tagged }) => tagged),
      lastOwn,
      quarantined: quarantined && variant !== 'noQuarantine',
      doubtful: doubtful && variant !== 'noPatience',
    }
  }

  function keyOf(world: World, process: number, { doubtful }: Base): string {
    const codes = world.clusters.map(publicCode)
    const own = processCode(world.processes[process] ?? IDLE)
    const sent = fileCode(world.clusters[homeOf(process)]?.late ?? null)
    return String.fromCharCode(...codes, own, Number(doubtful), homeOf(process), sent)
  }

  /** What may be believed of each cluster's life. */
  function* knowledges(world: World, self: number): Generator<Knowledge[]> {
    const options = world.clusters.map(({ file, gone, spoke }, cluster) => {
      if (cluster === self || !file) return TRUST.slice(1, 2)
      return TRUST.filter(one => (one !== 'proven' || !gone || variant === 'cappedClock') && (one !== 'dead' || !spoke))
    })
    const count = options.reduce((product, { length }) => product * length, 1)
    for (let code = 0; code < count; code++) {
      let rest = code
      yield options.map(list => {
        const one = list[rest % list.length] ?? 'live'
        rest = Math.floor(rest / list.length)
        return one
      })
    }
  }

  function lie(view: LocalView): LocalView {
    const { self, files, tags } = view
    switch (variant) {
      case 'claimAlone':
        return { ...view, tags: tags.map((tagged, c) => tagged || (c !== self && files[c]?.active === true)) }
      case 'noTotalOrder': {
        const higher = (files[self]?.epoch ?? 0) + 1
        return {
          ...view,
          files: files.map((file, c) => (c !== self && file?.active ? { ...file, epoch: higher } : file)),
        }
      }
      case 'priorityInClaim':
        return { ...view, files: files.map((file, c) => file && { ...file, epoch: withPriority(file.epoch, self, c) }) }
      default:
        return view
    }
  }

  /** Each decider's configuration ranks the clusters in another order. */
  function withPriority(epoch: number, self: number, cluster: number): number {
    return 8 * epoch + ((cluster - self + clusters) % clusters)
  }

  /** The epochs as they are, whatever the decider was shown. */
  function truthful(intent: Intent, { files, self }: Base): Intent {
    if (!falseEpochs) return intent
    const epoch = files[self]?.epoch ?? 0
    switch (intent.kind) {
      case 'publish':
        return { ...intent, file: { ...intent.file, epoch } }
      case 'promote':
        return { ...intent, file: { active: true, epoch: 1 + Math.max(0, ...files.map(file => file?.epoch ?? 0)) } }
      case 'demote':
        return { ...intent, ours: intent.ours === null ? null : epoch, file: { active: false, epoch } }
      default:
        return intent
    }
  }

  /**
   * What a process may know to be under way. Another process of its cluster may have sent it, or something newer may have
   * landed before it: then it knows nothing of that.
   */
  function wordsOf(world: World, process: number): readonly File[] {
    const late = world.clusters[homeOf(process)]?.late ?? null
    return late && !falseEpochs ? [null, late] : [null]
  }

  function saidBy({ files, self }: Base): LastOwn {
    const file = files[self]
    return file ? (file.active ? 'active' : 'inactive') : 'none'
  }

  /** Every view is put before the real decider once. */
  function decided(view: LocalView): Decided {
    const { self, lastOwn, quarantined, doubtful, pinned, word } = view
    const key = String.fromCharCode(
      ...view.files.map(fileCode),
      ...view.tags.map(Number),
      ...view.knowledge.map(one => TRUST.indexOf(one)),
      Number(quarantined) + 2 * Number(doubtful) + 4 * Number(pinned) + 8 * self,
      lastOwn.length,
      fileCode(word),
    )
    const found = views.get(key) ?? decideIn(lie(view))
    views.set(key, found)
    return found
  }

  return {
    /** All that the process may do in this cycle, and what it remembers afterwards. */
    choices(world: World, process: number): readonly Choice[] {
      const base = baseOf(world, process)
      const key = keyOf(world, process, base)
      const known = choices.get(key)
      if (known) return known
      const lastOwn = saidBy(base)
      const found = new Map<string, Choice>()
      for (const knowledge of knowledges(world, base.self)) {
        for (const word of wordsOf(world, process)) {
          for (const pinned of [false, true]) {
            const { intents, quarantined } = decided({ ...base, knowledge, pinned, word, fresh: false })
            for (const intent of [{ kind: 'none' } as const, ...intents]) {
              const choice = { intent: truthful(intent, base), after: { lastOwn, quarantined } }
              found.set(JSON.stringify(choice), choice)
            }
          }
        }
      }
      const list = [...found.values()]
      choices.set(key, list)
      return list
    },

    /** A process that has just started and looked once. */
    started(world: World, process: number): Process {
      const self = homeOf(process)
      const key = self + 3 * fileCode(world.clusters[self]?.file ?? null)
      const known = starts.get(key)
      if (known) return known
      const base = baseOf(world, process)
      const view = { ...base, knowledge: indices.map((): Knowledge => 'live'), pinned: false, fresh: true, word: null }
      const started: Process = { ...IDLE, lastOwn: saidBy(base), quarantined: decideIn(view).quarantined }
      starts.set(key, started)
      return started
    },

    /** Whether the last look before a removal lets it go on. */
    removes(world: World, process: number, winner: number, ours: number | null): boolean {
      const base = baseOf(world, process)
      const key = `${keyOf(world, process, base)}${winner}${ours ?? ''}`
      const known = looks.get(key)
      if (known !== undefined) return known
      const files = base.files.map((file, c) =>
        variant === 'noReadBack' && c === base.self && file ? { ...file, active: false } : file,
      )
      const proven = world.clusters[winner]?.gone === false || variant === 'cappedClock'
      const view = {
        ...base,
        files,
        knowledge: indices.map((): Knowledge => 'proven'),
        pinned: false,
        fresh: false,
        word: null,
      }
      const shown = ours === null || variant !== 'priorityInClaim' ? ours : withPriority(ours, base.self, base.self)
      const may = proven && mayRemove(lie(view), winner, shown)
      looks.set(key, may)
      return may
    },
  }
}
