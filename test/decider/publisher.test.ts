import t from 'tap'
import { createPublisher } from '../../decider/act/publisher.ts'
import type { StatusDocument } from '../../decider/documents.ts'
import type { PoolStatus } from '../../decider/model.ts'
import { GitLabError } from '../../lib/gitlab/types.ts'
import { FakeGitLab, HandClock } from './fake-gitlab.ts'

const part = (reason: string, active = false): PoolStatus => ({
  digest: 'd',
  epoch: 1,
  active,
  available: 1,
  total: 1,
  desired: null,
  lastKnown: 1,
  unknownForSeconds: 0,
  servingIds: [10],
  reason,
})

function scene() {
  const clock = new HandClock()
  const gitlab = new FakeGitLab(clock)
  const decider = { id: 'pod-1', version: '1.0.0' }
  const publisher = createPublisher({ gitlab, clock, project: 1, cluster: 'a', decider })
  const published = () => JSON.parse(gitlab.files.get('hadr/a:status.json') ?? 'null') as StatusDocument
  const reasons = () =>
    Object.fromEntries(Object.entries(published().pools).map(([name, { reason }]) => [name, reason]))
  const writes = () => gitlab.log.filter(entry => entry.startsWith('publish'))
  return { clock, gitlab, publisher, published, reasons, writes }
}

const settle = () => new Promise(resolve => setImmediate(resolve))
const document = (seq: number, pools: Record<string, PoolStatus>): StatusDocument => ({
  schema: 1,
  cluster: 'a',
  seq,
  decider: { id: 'pod-0', version: '0.9.0' },
  pools,
})

t.test('seq grows with every publish, beyond the one that was read', async t => {
  const { publisher, published, writes } = scene()
  publisher.adopt(document(41, {}))
  t.equal(await publisher.publish('rnd', part('x')), 42)
  publisher.adopt(document(7, {}))
  t.equal(await publisher.publish('rnd', part('y')), 43)
  t.match(published(), { schema: 1, cluster: 'a', seq: 43, decider: { id: 'pod-1' } })
  t.strictSame(writes(), ['publish hadr/a 42', 'publish hadr/a 43'])
})

t.test('a seq whose fate is unknown is never used again', async t => {
  const { gitlab, publisher } = scene()
  gitlab.fault = call => (call === 'publish' ? { kind: 'unavailable', applied: true } : undefined)
  await t.rejects(publisher.publish('rnd', part('x')), GitLabError)
  gitlab.fault = () => undefined
  t.equal(await publisher.publish('rnd', part('y')), 2)
})

t.test(
  'at a start, parts of pools that have not spoken yet are kept; what was said is not undone by a read',
  async t => {
    const { publisher, reasons } = scene()
    publisher.adopt(document(5, { rnd: part('old'), qa: part('old', true) }))
    await publisher.publish('rnd', part('new'))
    t.strictSame(reasons(), { rnd: 'new', qa: 'old' })
    publisher.adopt(document(5, { rnd: part('late'), qa: part('late') }))
    await publisher.publish('qa', part('newer'))
    t.strictSame(reasons(), { rnd: 'new', qa: 'newer' })
  },
)

t.test('parts handed in while a write is under way go out together in the next one', async t => {
  const { gitlab, publisher, reasons, writes } = scene()
  let release: () => void = () => undefined
  gitlab.onCall = call => (call === 'publish' ? new Promise<void>(resolve => (release = resolve)) : undefined)
  const first = publisher.publish('p1', part('1'))
  await settle()
  gitlab.onCall = () => undefined
  const others = [2, 3, 4, 5].map(number => publisher.publish(`p${number}`, part(String(number))))
  await settle()
  t.equal(writes().length, 1, 'one at a time')
  release()
  t.equal(await first, 1)
  t.strictSame(await Promise.all(others), [2, 2, 2, 2])
  t.strictSame(writes().length, 2)
  t.strictSame(reasons(), { p1: '1', p2: '2', p3: '3', p4: '4', p5: '5' })
})

t.test('the newest of two parts of one pool goes out', async t => {
  const { gitlab, publisher, reasons } = scene()
  let release: () => void = () => undefined
  gitlab.onCall = call => (call === 'publish' ? new Promise<void>(resolve => (release = resolve)) : undefined)
  const writes = [publisher.publish('p', part('1'))]
  await settle()
  gitlab.onCall = () => undefined
  writes.push(publisher.publish('p', part('2')), publisher.publish('p', part('3')))
  release()
  t.strictSame(await Promise.all(writes), [1, 2, 2])
  t.strictSame(reasons(), { p: '3' })
})

t.test('a part that failed is not said later in another pool’s heartbeat', async t => {
  for (const kind of ['forbidden', 'unavailable'] as const) {
    const { gitlab, publisher, published } = scene()
    await publisher.publish('rnd', part('standby'))
    gitlab.fault = call => (call === 'publish' ? { kind } : undefined)
    await t.rejects(publisher.publish('rnd', part('promoting', true)), GitLabError)
    gitlab.fault = () => undefined
    await publisher.publish('qa', part('heartbeat'))
    t.match(published().pools, { rnd: { active: false, reason: 'standby' }, qa: { reason: 'heartbeat' } }, kind)
  }
})

t.test('another pool’s heartbeat says nothing that a part under way has given up', async t => {
  const { gitlab, publisher, published } = scene()
  const claim = (epoch: number, active: boolean) => ({ ...part('', active), epoch })
  const sent = async (epoch: number, active: boolean) => {
    gitlab.fault = call => (call === 'publish' ? { kind: 'unavailable' } : undefined)
    await t.rejects(publisher.publish('rnd', claim(epoch, active)), GitLabError)
    gitlab.fault = () => undefined
    await publisher.publish('qa', part('heartbeat'))
    const { epoch: saidEpoch, active: saidActive } = published().pools['rnd'] ?? claim(-1, false)
    return [saidEpoch, saidActive]
  }
  t.equal(publisher.wordOf('rnd'), undefined)
  await publisher.publish('rnd', claim(2, true))
  t.strictSame(publisher.wordOf('rnd'), { seq: 1, epoch: 2, active: true })
  t.strictSame(await sent(2, false), [2, false], 'a yielding')
  t.strictSame(await sent(5, true), [5, false], 'a claim')
  t.strictSame(publisher.wordOf('rnd'), { seq: 5, epoch: 5, active: false })
  gitlab.fault = call => (call === 'publish' ? { kind: 'forbidden' } : undefined)
  await t.rejects(publisher.publish('rnd', claim(9, true)), GitLabError)
  t.strictSame(publisher.wordOf('rnd'), { seq: 5, epoch: 5, active: false }, 'what was refused is not said')
})

t.test('nor in one that waited behind it', async t => {
  const { gitlab, publisher, published } = scene()
  await publisher.publish('rnd', part('standby'))
  let release: () => void = () => undefined
  gitlab.onCall = call => (call === 'publish' ? new Promise<void>(resolve => (release = resolve)) : undefined)
  gitlab.fault = (_, subject) => (subject.endsWith(' 2') ? { kind: 'unavailable' } : undefined)
  const failing = publisher.publish('rnd', part('promoting', true))
  failing.catch(() => undefined)
  await settle()
  gitlab.onCall = () => undefined
  const heartbeat = publisher.publish('qa', part('heartbeat'))
  release()
  await t.rejects(failing)
  await heartbeat
  t.match(published().pools, { rnd: { active: false, reason: 'standby' } })
})

t.test('nor is the first part of a pool that failed', async t => {
  const { gitlab, publisher, reasons } = scene()
  gitlab.fault = call => (call === 'publish' ? { kind: 'refused' } : undefined)
  await t.rejects(publisher.publish('rnd', part('x')))
  gitlab.fault = () => undefined
  await publisher.publish('qa', part('y'))
  t.strictSame(reasons(), { qa: 'y' })
})

t.test('when a newer part of the same pool went out meanwhile, the failed one does not replace it', async t => {
  const { gitlab, publisher, reasons } = scene()
  await publisher.publish('p', part('0'))
  let release: () => void = () => undefined
  gitlab.onCall = call => (call === 'publish' ? new Promise<void>(resolve => (release = resolve)) : undefined)
  gitlab.fault = (_, subject) => (subject.endsWith(' 2') ? { kind: 'unavailable' } : undefined)
  const first = publisher.publish('p', part('1'))
  first.catch(() => undefined)
  await settle()
  gitlab.onCall = () => undefined
  const second = publisher.publish('p', part('2'))
  release()
  await t.rejects(first)
  await second
  await publisher.publish('q', part('q'))
  t.strictSame(reasons(), { p: '2', q: 'q' })
})

t.test('parts that fail together are all forgotten, the older failure of one pool included', async t => {
  const { gitlab, publisher, reasons } = scene()
  await publisher.publish('p', part('0'))
  let release: () => void = () => undefined
  gitlab.onCall = call => (call === 'publish' ? new Promise<void>(resolve => (release = resolve)) : undefined)
  gitlab.fault = call => (call === 'publish' ? { kind: 'unavailable' } : undefined)
  const first = publisher.publish('p', part('1', true))
  await settle()
  gitlab.onCall = () => undefined
  const second = publisher.publish('p', part('2', true))
  release()
  await Promise.allSettled([first, second])
  gitlab.fault = () => undefined
  await publisher.publish('q', part('q'))
  t.strictSame(reasons(), { p: '0', q: 'q' })
})

t.test('it tells when a seq was published, and nothing of seqs that are not its own or failed', async t => {
  const { clock, gitlab, publisher } = scene()
  t.equal(publisher.lastPublishMonotonicMs, undefined)
  const seq = await publisher.publish('p', part('1'))
  const atMs = clock.nowMs
  clock.nowMs += 5000
  gitlab.fault = call => (call === 'publish' ? { kind: 'unavailable', applied: true } : undefined)
  await t.rejects(publisher.publish('p', part('2')))
  t.equal(publisher.publishedAt(seq), atMs)
  t.equal(publisher.publishedAt(seq + 1), undefined)
  t.equal(publisher.lastPublishMonotonicMs, atMs)
  gitlab.fault = () => undefined
  for (let more = 0; more < 60; more++) await publisher.publish('p', part('3'))
  t.equal(publisher.publishedAt(seq), undefined, 'long ago')
})

t.test('the start of the branch is looked up once, and again after a failure', async t => {
  const { gitlab, publisher } = scene()
  const lookups = () => gitlab.log.filter(entry => entry === 'default').length
  await publisher.publish('p', part('1'))
  await publisher.publish('p', part('2'))
  t.equal(lookups(), 1)
  gitlab.fault = call => (call === 'publish' ? { kind: 'refused' } : undefined)
  await t.rejects(publisher.publish('p', part('3')))
  gitlab.fault = () => undefined
  await publisher.publish('p', part('4'))
  t.equal(lookups(), 2)
})

t.test('leaving is said once, and a failure of it harms nobody', async t => {
  const { gitlab, publisher, published } = scene()
  await publisher.publish('p', part('1'))
  gitlab.fault = call => (call === 'publish' ? { kind: 'forbidden' } : undefined)
  await publisher.leave()
  t.equal(published().leaving, undefined)
  gitlab.fault = () => undefined
  await publisher.leave()
  t.match(published(), { leaving: true, pools: { p: { reason: '1' } } })
})

t.test('a process that may not write is refused before anything is sent', async t => {
  const { gitlab, publisher, published } = scene()
  await publisher.publish('p', part('1'))
  gitlab.log.length = 0
  const guard = { maySend: () => false, over: new AbortController().signal }
  await t.rejects(publisher.publish('p', part('2', true), guard), {
    kind: 'refused',
    message: 'GitLab POST /projects/:id/repository/commits: not sent: this process stops or no longer leads',
  })
  t.strictSame(gitlab.log, [])
  await publisher.publish('q', part('q'), { ...guard, maySend: () => true })
  t.match(published().pools, { p: { reason: '1', active: false } })
})

t.test('who lost the lease sends nothing, not even what waited for its turn', async t => {
  const clock = new HandClock()
  const gitlab = new FakeGitLab(clock)
  const lost = new AbortController()
  const decider = { id: 'pod-1', version: '1.0.0' }
  const publisher = createPublisher({ gitlab, clock, project: 1, cluster: 'a', decider, over: lost.signal })
  await publisher.publish('p', part('1'))
  lost.abort()
  await t.rejects(publisher.publish('p', part('2')), {
    kind: 'refused',
    message: /not sent: this process no longer leads$/,
  })
  t.equal(gitlab.log.filter(entry => entry.startsWith('publish')).length, 1)
  t.equal(publisher.doubtMonotonicMs, undefined, 'nothing may land')
})

t.test('parts of pools that are no longer configured are left out', async t => {
  const clock = new HandClock()
  const gitlab = new FakeGitLab(clock)
  let pools = ['p', 'q']
  const decider = { id: 'pod-1', version: '1.0.0' }
  const publisher = createPublisher({ gitlab, clock, project: 1, cluster: 'a', decider, pools: () => pools })
  publisher.adopt(document(3, { p: part('0'), old: part('0') }))
  await publisher.publish('q', part('1'))
  const names = () => Object.keys((JSON.parse(gitlab.files.get('hadr/a:status.json') ?? '') as StatusDocument).pools)
  t.strictSame(names().sort(), ['p', 'q'])
  pools = ['q']
  await publisher.publish('q', part('2'))
  t.strictSame(names(), ['q'])
})

t.test('a publish that may still land leaves doubt, one that surely failed does not', async t => {
  for (const [kind, doubt] of [
    ['unavailable', true],
    ['invalid_answer', true],
    ['forbidden', false],
  ] as const) {
    const { clock, gitlab, publisher } = scene()
    gitlab.fault = call => (call === 'publish' ? { kind } : undefined)
    clock.nowMs = 4321
    await t.rejects(publisher.publish('p', part('1')))
    t.equal(publisher.doubtMonotonicMs, doubt ? 4321 : undefined, kind)
  }
  const { gitlab, publisher } = scene()
  gitlab.onCall = call => {
    if (call === 'publish') throw new Error('not one of GitLab’s')
  }
  await t.rejects(publisher.publish('p', part('1')))
  t.not(publisher.doubtMonotonicMs, undefined)
})

t.test('nothing is said of leaving before that', async t => {
  const { publisher, published } = scene()
  await publisher.publish('p', part('1'))
  t.notOk(Object.hasOwn(published(), 'leaving'))
})

t.test('the fifty newest seqs are remembered', async t => {
  const { publisher } = scene()
  for (let count = 1; count <= 50; count++) await publisher.publish('p', part('x'))
  t.not(publisher.publishedAt(1), undefined)
  await publisher.publish('p', part('x'))
  t.equal(publisher.publishedAt(1), undefined)
  t.not(publisher.publishedAt(2), undefined)
})
