import t, { type Test } from 'tap'
import {
  ELECTION_TIMING,
  startElector,
  type Elector,
  type ElectionTiming,
  type ElectorOptions,
} from '../../lib/kubernetes/elector.ts'
import { silentLog } from '../../lib/service/log.ts'
import { systemClock, type Clock } from '../../lib/service/clock.ts'
import { createKubernetes } from '../../simulator/kubernetes/core.ts'
import { createKubernetesClient } from '../../lib/kubernetes/client.ts'
import type { Connection } from '../../lib/kubernetes/connection.ts'
import { errorOfAnswer, KubernetesError } from '../../lib/kubernetes/errors.ts'
import { open, startApi } from '../support/kubernetes.ts'
import { createManualClock, type ManualClock } from '../support/manual-clock.ts'
import { createRandom } from '../support/random.ts'

/** Fast enough for real sockets: the proportions of the real timing, ten times shorter. */
const FAST = { leaseMs: 1500, renewDeadlineMs: 1000, retryMs: 200 }

interface Candidate {
  elector: Elector
  /** `won` and `lost`, with the time. */
  terms: { wonMs: number; lostMs?: number }[]
}

function candidate(
  options: Pick<ElectorOptions, 'leases' | 'identity' | 'clock'> & { seed: number; timing?: ElectionTiming },
): Candidate {
  const { clock, seed, timing = ELECTION_TIMING } = options
  const terms: Candidate['terms'] = []
  const elector = startElector({
    ...options,
    timing,
    namespace: 'default',
    name: 'decider',
    random: createRandom(seed),
    log: silentLog,
    onLeading: lost => {
      const term: Candidate['terms'][number] = { wonMs: clock.monotonicMs() }
      terms.push(term)
      lost.addEventListener('abort', () => {
        term.lostMs = clock.monotonicMs()
      })
    },
  })
  return { elector, terms }
}

/** A connection straight into the simulator's core, for tests where a virtual clock must be in charge of all waits. */
function directConnection(
  core: ReturnType<typeof createKubernetes>,
  isBroken: () => boolean,
  clock: Clock,
): Connection {
  return {
    call: async ({ method, path, subject, body, signal }) => {
      if (isBroken()) {
        await clock.sleep(4000, signal).catch(() => undefined)
        throw new KubernetesError('unavailable', subject, 'no answer within 4000 ms')
      }
      const headers = { 'content-type': 'application/json' }
      const answer = await core.handle({ method, path, headers, body: body === undefined ? '' : JSON.stringify(body) })
      if (answer.status >= 300) throw errorOfAnswer(subject, answer.status, answer.body, undefined)
      return JSON.parse(answer.body) as unknown
    },
    lines: () => {
      throw new Error('no test watches through it')
    },
    close: () => Promise.resolve(),
  }
}

interface VirtualWorld {
  clock: ManualClock
  core: ReturnType<typeof createKubernetes>
  /** Candidates that the network is gone for. */
  cut: Set<string>
  join: (identity: string, seed: number) => Candidate
}

function virtualWorld(t: Test): VirtualWorld {
  const clock = createManualClock()
  const core = createKubernetes({ clock, random: createRandom(7) })
  t.teardown(() => core.close())
  const cut = new Set<string>()
  const join = (identity: string, seed: number) => {
    const connection = directConnection(core, () => cut.has(identity), clock)
    return candidate({ leases: createKubernetesClient({ connection, clock }), identity, clock, seed })
  }
  return { clock, core, cut, join }
}

const leaders = (...candidates: Candidate[]) => candidates.filter(({ elector }) => elector.leading).length

async function until(condition: () => boolean, withinMs = 30_000): Promise<boolean> {
  const endMs = performance.now() + withinMs
  while (!condition() && performance.now() < endMs) await new Promise(resolve => setTimeout(resolve, 10))
  return condition()
}

void t.test('of two candidates that race one leads, and the other takes over when it stops', async t => {
  const api = await startApi(t)
  const join = async (identity: string, seed: number) =>
    candidate({
      leases: (await open(t, api, { callDeadlineMs: 150 })).client,
      identity,
      clock: systemClock,
      seed,
      timing: FAST,
    })
  const a = await join('a', 1)
  const b = await join('b', 2)
  t.ok(await until(() => leaders(a, b) === 1))
  const [first, second] = a.elector.leading ? [a, b] : [b, a]
  const stoppedMs = performance.now()
  await first.elector.stop()
  t.equal(first.elector.leading, false)
  t.ok(await until(() => second.elector.leading))
  t.ok(performance.now() - stoppedMs < FAST.leaseMs, 'a released lease is taken without waiting for it to run out')
  await second.elector.stop()
  await second.elector.stop()
  t.match(api.state.get('leases', 'default', 'decider'), { spec: { holderIdentity: '' } })
})

void t.test('a restart of the API server ends no term, a hanging one ends it and it is won again', async t => {
  const api = await startApi(t)
  const { client } = await open(t, api, { callDeadlineMs: 100 })
  const a = candidate({ leases: client, identity: 'a', clock: systemClock, seed: 1, timing: FAST })
  t.ok(await until(() => a.elector.leading))
  await api.stop()
  await api.start()
  await new Promise(resolve => setTimeout(resolve, FAST.leaseMs))
  t.equal(a.terms.length, 1)
  t.equal(a.elector.leading, true)
  const heal = api.faults.add({ fault: { kind: 'hang' } })
  t.ok(await until(() => !a.elector.leading))
  t.ok(a.terms[0]?.lostMs !== undefined, 'lost was signalled')
  heal()
  t.ok(await until(() => a.elector.leading))
  t.equal(a.terms.length, 2)
  await a.elector.stop()
})

void t.test('an answer that gets lost does not end a term', async t => {
  const api = await startApi(t)
  const { client } = await open(t, api, { callDeadlineMs: 100 })
  const a = candidate({ leases: client, identity: 'a', clock: systemClock, seed: 1, timing: FAST })
  t.ok(await until(() => a.elector.leading))
  api.faults.add({ fault: { kind: 'lostReply' }, verb: 'update', count: 1 })
  api.faults.add({ fault: { kind: 'status', status: 409 }, verb: 'update', count: 1 })
  await new Promise(resolve => setTimeout(resolve, FAST.leaseMs))
  t.equal(a.terms.length, 1)
  t.equal(a.elector.leading, true)
  await a.elector.stop()
})

void t.test('a leader that crashed is replaced after the lease time, not before and not much later', async t => {
  const { clock, core, join } = virtualWorld(t)
  const now = new Date(clock.wallMs()).toISOString().replace('Z', '000Z')
  core.state.put('leases', {
    metadata: { name: 'decider', namespace: 'default' },
    spec: { holderIdentity: 'dead', leaseDurationSeconds: 15, acquireTime: now, renewTime: now, leaseTransitions: 4 },
  })
  const b = join('b', 2)
  await clock.advance(14_900)
  t.equal(b.elector.leading, false)
  t.equal(b.elector.holder, 'dead')
  await clock.advance(3000)
  t.equal(b.elector.leading, true)
  t.match(core.state.get('leases', 'default', 'decider'), { spec: { holderIdentity: 'b', leaseTransitions: 5 } })
  await b.elector.stop()
})

void t.test('a leader that is cut off stops before another one starts', async t => {
  for (let seed = 1; seed <= 10; seed++) {
    const { clock, cut, join } = virtualWorld(t)
    const a = join('a', seed)
    await clock.advance(5000 + seed * 137)
    const b = join('b', seed + 100)
    await clock.advance(20_000 + seed * 211)
    t.equal(leaders(a, b), 1)
    t.equal(a.elector.leading, true)
    cut.add('a')
    for (let step = 0; step < 300; step++) {
      await clock.advance(100)
      t.ok(leaders(a, b) <= 1)
    }
    t.equal(b.elector.leading, true)
    const lostMs = a.terms[0]?.lostMs ?? Number.POSITIVE_INFINITY
    t.ok(lostMs + 3000 < (b.terms[0]?.wonMs ?? 0), 'with seconds to spare')
    cut.clear()
    await clock.advance(30_000)
    t.equal(leaders(a, b), 1)
    t.equal(b.terms.length, 1, 'the old leader does not push the new one out')
    void a.elector.stop()
    void b.elector.stop()
    await clock.advance(5000)
  }
})

void t.test('a jump of the machine clock by a day changes nothing', async t => {
  const { clock, join } = virtualWorld(t)
  const a = join('a', 1)
  await clock.advance(3000)
  const b = join('b', 2)
  for (const jumpMs of [86_400_000, -2 * 86_400_000]) {
    clock.jumpWall(jumpMs)
    await clock.advance(60_000)
    t.equal(a.elector.leading, true)
    t.equal(b.terms.length, 0)
  }
  t.equal(a.terms.length, 1)
  void a.elector.stop()
  void b.elector.stop()
  await clock.advance(5000)
})

void t.test('a lease that was deleted or taken by hand ends or renews the term, never makes two leaders', async t => {
  const { clock, core, join } = virtualWorld(t)
  const a = join('a', 1)
  await clock.advance(3000)
  const b = join('b', 2)
  await clock.advance(10_000)
  core.state.remove('leases', 'default', 'decider')
  for (let step = 0; step < 200; step++) {
    await clock.advance(100)
    if (leaders(a, b) > 1) break
  }
  t.ok(leaders(a, b) <= 1)
  await clock.advance(30_000)
  t.equal(leaders(a, b), 1)
  core.state.put('leases', {
    metadata: { name: 'decider', namespace: 'default' },
    spec: { holderIdentity: 'somebody', leaseDurationSeconds: 15 },
  })
  await clock.advance(3000)
  t.equal(leaders(a, b), 0)
  await clock.advance(30_000)
  t.equal(leaders(a, b), 1)
  void a.elector.stop()
  void b.elector.stop()
  await clock.advance(5000)
})

void t.test('a timing that could give two leaders is refused', t => {
  const { clock, core } = virtualWorld(t)
  const connection = directConnection(core, () => false, clock)
  const leases = createKubernetesClient({ connection, clock })
  const timing = { leaseMs: 10_000, renewDeadlineMs: 10_000, retryMs: 2000 }
  t.throws(() => candidate({ leases, identity: 'a', clock, seed: 1, timing }), /needs/)
  t.end()
})
