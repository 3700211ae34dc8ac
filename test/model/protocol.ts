import { type Scope, createDeciders } from './deciders.ts'
import { type File, type Intent, NAMES } from './local.ts'
import type { Model, Move } from './search.ts'
import {
  type Cluster,
  type Process,
  type World,
  IDLE,
  keyOf,
  showFile,
  showWorld,
  withLowEpochs,
  worldOf,
} from './states.ts'

/**
 * All interleavings of the protocol within a scope. Every decision is the real decider's (local.ts); this page only says
 * what may happen between decisions:
 * - a cycle reads and decides at once; each write of it lands, fails, lands without an answer, or is under way and
 *   lands at any later moment;
 * - a process may start anew at any moment, also between two writes; the Lease may pass to the second process of
 *   cluster a, while writes of the first one are under way or still come, except that it begins no removal any more;
 * - a cluster may die for good or for a while.
 * Time is left out: whoever could have to wait may as well not; a peer may be held for silent or dead at any moment,
 * unless it is known to have published. Three assumptions on time remain: what is under way has landed or is lost before
 * 60 s of waiting are over, before a cluster counts as long dead, and fencings before anybody else was silent for
 * T_dead + 2 P. Of three clusters two may die and return while both a fencing of one by the other hangs in GitLab and the third one
 * yields: that is left out (`prompt`), and the returned one would put its tag back with its next cycle.
 * The invariants: S1, no removal takes the tag from the last cluster that serves; and where nothing is late and nobody
 * dies, S3, of those who claim not all yield.
 */
export function protocol(scope: Scope): Model<World> {
  const deciders = createDeciders(scope)
  const indices = Array.from({ length: scope.clusters }, (_, index) => index)
  const second = scope.clusters

  const clusterIn = ({ clusters }: World, index: number): Cluster => must(clusters[index])
  const homeOf = (process: number) => (process === second ? 0 : process)
  const leads = ({ secondLeads }: World, process: number) =>
    scope.siblings ? (process === second ? secondLeads : process !== 0 || !secondLeads) : true
  const nameOf = (process: number) => (process === second ? 'a′' : (NAMES[process] ?? ''))

  const withCluster = (world: World, index: number, change: Partial<Cluster>): World => ({
    ...world,
    clusters: world.clusters.map((cluster, at) => (at === index ? { ...cluster, ...change } : cluster)),
  })
  const withProcess = (world: World, index: number, change: Partial<Process>): World => ({
    ...world,
    processes: world.processes.map((process, at) => (at === index ? { ...process, ...change } : process)),
  })
  const claims = ({ clusters }: World) => clusters.some(({ file }) => file?.active)
  const serves = ({ clusters }: World) => clusters.some(({ tagged, gone }) => tagged && !gone)

  /** Nothing of a cluster is under way that a promotion has to wait for. */
  const removalUnderWay = (world: World, cluster: number, but: number) =>
    clusterIn(world, cluster).removal ||
    world.processes.some(
      ({ phase }, p) => (p !== but && homeOf(p) === cluster && phase.kind === 'yielding') || phase.kind === 'leaving',
    )

  /**
   * Leaves out what makes no difference: a quarantine with nothing under way may end at once, and who does not wait can
   * do all that who waits can.
   */
  function normal(world: World): World {
    const processes = world.processes.map((process, p): Process => {
      if (!process.quarantined && process.lastOwn === IDLE.lastOwn) return process
      if (leads(world, p) && removalUnderWay(world, homeOf(p), p)) return process
      return process.phase.kind === 'idle' ? IDLE : { ...IDLE, phase: process.phase }
    })
    if (scope.fences !== 'none') return withLowEpochs({ ...world, processes })
    const clusters = world.clusters.map(cluster => (cluster.spoke ? { ...cluster, spoke: false } : cluster))
    return withLowEpochs({ ...world, processes, clusters })
  }

  function moves(world: World): Move<World>[] {
    const found: Move<World>[] = []
    const add = (label: string, to: World, breaks?: string) => {
      found.push(breaks === undefined ? { label, to: normal(to) } : { label, to: normal(to), breaks })
    }
    for (const c of indices) environment(world, c, add)
    if (scope.siblings && !clusterIn(world, 0).gone && clusterIn(world, 0).file) {
      const heir = world.secondLeads ? 0 : second
      const before = world.secondLeads ? second : 0
      const handed = withProcess({ ...world, secondLeads: !world.secondLeads }, heir, deciders.started(world, heir))
      const { phase } = must(world.processes[before])
      const ends = 'winner' in phase && scope.variant !== 'noLease'
      add(`${nameOf(heir)} gets the lease`, ends ? withProcess(handed, before, { phase: IDLE.phase }) : handed)
    }
    for (const p of world.processes.keys()) {
      if (!clusterIn(world, homeOf(p)).gone) processMoves(world, p, add)
    }
    return found
  }

  type Add = (label: string, to: World, breaks?: string) => void

  function environment(world: World, c: number, add: Add): void {
    const cluster = clusterIn(world, c)
    const name = NAMES[c] ?? ''
    const untag = (what: string, done: Partial<Cluster>) => {
      const after = withCluster(world, c, { ...done, tagged: false })
      const broken = serves(world) && !serves(after) ? `the ${what} at ${name} leaves nobody who serves` : undefined
      add(`the ${what} at ${name} lands`, after, broken)
      add(`the ${what} at ${name} is lost`, withCluster(world, c, done))
    }
    if (cluster.removal) untag('removal', { removal: false })
    if (cluster.fencedBy !== null) untag('fencing', { fencedBy: null })
    if (cluster.late) {
      add(`the late publish of ${name} lands`, withCluster(world, c, { file: cluster.late, late: null, spoke: true }))
      add(`the late publish of ${name} is lost`, withCluster(world, c, { late: null }))
    }
    if (cluster.spoke && world.clusters.every(({ fencedBy }) => fencedBy === null)) {
      add(`${name} is silent for T_dead + 2 P`, withCluster(world, c, { spoke: false }))
    }
    if (!scope.deaths) return
    const quiet = world.clusters.every(({ late, removal, fencedBy }) => !late && !removal && fencedBy === null)
    if (cluster.gone) add(`${name} returns`, withCluster(world, c, { gone: false }))
    else if (quiet) {
      const dead = withCluster(world, c, { gone: true, spoke: false })
      const processes = dead.processes.map((process, p) => (homeOf(p) === c ? IDLE : process))
      add(`${name} dies, and long ago`, { ...dead, processes })
    }
  }

  function processMoves(world: World, p: number, add: Add): void {
    const c = homeOf(p)
    const who = nameOf(p)
    const process = must(world.processes[p])
    const { phase } = process
    const leading = leads(world, p)
    if (process.quarantined && !removalUnderWay(world, c, p)) {
      add(`60 s pass at ${who}`, withProcess(world, p, { quarantined: false }))
    }
    if (leading) add(`${who} starts anew`, withProcess(world, p, deciders.started(world, p)))
    if (phase.kind === 'adding') {
      add(`${who} adds the tag`, withProcess(withCluster(world, c, { tagged: true }), p, { phase: IDLE.phase }))
    }
    if (phase.kind === 'leaving') leave(world, p, phase.winner, phase.ours, add)
    if (phase.kind === 'yielding') {
      if (deciders.removes(world, p, phase.winner, phase.ours)) {
        const removal = clusterIn(world, c).tagged
        const sent = withProcess(withCluster(world, c, { removal }), p, {
          phase: IDLE.phase,
          quarantined: removal || process.quarantined,
        })
        add(`${who} looks again and sends the removal`, sent)
      }
      add(`${who} gives up yielding`, withProcess(world, p, { phase: IDLE.phase }))
    }
    if (phase.kind !== 'idle' || !leading) return
    for (const { intent, after } of deciders.choices(world, p)) {
      carryOut(withProcess(world, p, after), p, intent, (label, to, breaks) => {
        add(`${who} ${label}`, to, breaks)
      })
    }
  }

  function carryOut(world: World, p: number, intent: Intent, add: Add): void {
    const c = homeOf(p)
    switch (intent.kind) {
      case 'none':
        add('looks', world)
        break
      case 'publish':
        publish(world, c, `says ${showFile(intent.file)}`, intent.file, add)
        break
      case 'add':
        add('mends its tag', withCluster(world, c, { tagged: true }))
        break
      case 'fence': {
        const target = clusterIn(world, intent.cluster)
        if (scope.fences === 'none' || !clusterIn(world, c).spoke || target.fencedBy !== null || !target.tagged) break
        const late = scope.fences === 'late'
        const after = withCluster(world, intent.cluster, late ? { fencedBy: c } : { tagged: false })
        const broken = serves(world) && !serves(after) ? 'the fencing leaves nobody who serves' : undefined
        add(`fences ${NAMES[intent.cluster] ?? ''}`, after, broken)
        break
      }
      case 'promote': {
        if (intent.file.epoch > scope.maxEpoch) break
        // Who was asked for, not needed, adds only what its file is seen to claim: that is the same as a repair.
        const then = intent.urgent ? withProcess(world, p, { phase: { kind: 'adding' } }) : world
        const label = `claims ${showFile(intent.file)}${intent.urgent ? ', since nobody serves' : ''}`
        publish(then, c, label, intent.file, add)
        if (intent.urgent) add(`${label}: fails`, then)
        break
      }
      case 'demote': {
        const { winner, ours } = intent
        add(
          `decides to yield to ${NAMES[winner] ?? ''}`,
          withProcess(world, p, { phase: { kind: 'leaving', winner, ours } }),
        )
      }
    }
  }

  /** The first write of a yielding decider. Time has passed since it decided. */
  function leave(world: World, p: number, winner: number, ours: number | null, add: Add): void {
    const c = homeOf(p)
    const label = `${nameOf(p)} publishes that it yields`
    const file = { epoch: ours ?? clusterIn(world, c).file?.epoch ?? 0, active: false }
    const yielding = withProcess(world, p, { phase: { kind: 'yielding', winner, ours } })
    const idle = withProcess(world, p, { phase: IDLE.phase })
    const seen = withCluster(yielding, c, { file, spoke: true })
    const last = scope.late === 0 && !scope.deaths && claims(world) && !claims(seen)
    add(`${label}, and sees it`, seen, last ? 'all who claimed yield' : undefined)
    publish(scope.variant === 'noReadBack' ? yielding : idle, c, label, file, add)
    add(`${label}: fails`, idle)
  }

  /** Lands, whether or not that is known; or is under way. */
  function publish(world: World, c: number, label: string, file: File, add: Add): void {
    add(`${label}: lands`, withCluster(world, c, { file, spoke: true }))
    const late = world.clusters.filter(cluster => cluster.late).length
    if (late < scope.late && !clusterIn(world, c).late)
      add(`${label}: under way`, withCluster(world, c, { late: file }))
  }

  const first = (tags: number): World => ({
    clusters: indices.map(c => ({
      file: null,
      tagged: (tags >> c) % 2 === 1,
      late: null,
      removal: false,
      fencedBy: null,
      gone: false,
      spoke: false,
    })),
    processes: Array.from({ length: scope.clusters + Number(scope.siblings) }, () => IDLE),
    secondLeads: false,
  })

  /** Everybody claimed before seeing anybody else's claim. */
  const allTagged = first((1 << scope.clusters) - 1)
  const allAtOnce = {
    ...allTagged,
    clusters: allTagged.clusters.map(cluster => ({ ...cluster, file: { epoch: 1, active: true }, spoke: true })),
  }

  return {
    initial: [...Array.from({ length: 1 << scope.clusters }, (_, tags) => first(tags)), allAtOnce],
    key: keyOf,
    state: key => worldOf(key, scope.clusters),
    moves,
    show: showWorld,
  }
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('out of range')
  return value
}
