import t from 'tap'
import { createWriteQueue } from '../../decider/act/write-queue.ts'
import { guardUntil } from '../../decider/act/write-guard.ts'
import { HandClock } from './fake-gitlab.ts'

const settled = () => new Promise(resolve => setImmediate(resolve))

/** A queue and what it has started; each piece of work ends when the test says so, those of a `quick` scene at once. */
function scene({ quick = false } = {}) {
  const clock = new HandClock()
  const queue = createWriteQueue(clock)
  const started: string[] = []
  const ends = new Map<string, () => void>()
  const unwanted = new Set<string>()
  const ended: Promise<void>[] = []
  const ask = (lane: string, count: number) => {
    const names = Array.from({ length: count }, (_, index) => `${lane}${index + 1}`)
    for (const name of names) {
      const work = () => {
        started.push(name)
        return quick ? Promise.resolve() : new Promise<void>(resolve => ends.set(name, resolve))
      }
      ended.push(queue.run(lane, () => !unwanted.has(name), work))
    }
  }
  const end = async (...names: string[]) => {
    for (const name of names) ends.get(name)?.()
    await settled()
  }
  return { clock, ask, end, started, unwanted, ended }
}

t.test('four of a lane at the same time, and the next one when one of them ends', async t => {
  const { ask, end, started } = scene()
  ask('a', 6)
  await settled()
  t.strictSame(started, ['a1', 'a2', 'a3', 'a4'])
  await end('a2')
  t.strictSame(started.slice(4), ['a5'])
  await end('a1', 'a3')
  t.strictSame(started.slice(5), ['a6'])
})

t.test('lanes take turns, and a full one holds up no other', async t => {
  const { ask, end, started } = scene()
  ask('a', 5)
  ask('b', 5)
  await settled()
  t.strictSame(started, ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'b3', 'b4'])
  await end('b1', 'a1')
  t.strictSame(started.slice(8), ['b5', 'a5'])
})

t.test('twenty at once, then twenty in a second, whatever the lane', async t => {
  const { clock, ask, started, ended } = scene({ quick: true })
  ask('a', 15)
  ask('b', 30)
  await settled()
  t.equal(started.length, 20)
  t.ok(started.filter(name => name.startsWith('b')).length >= 5, 'both have their turns')
  for (const [ms, count] of [
    [49, 20],
    [1, 21],
    [50, 22],
  ] as const) {
    clock.advance(ms)
    await settled()
    t.equal(started.length, count, `${ms} ms more`)
  }
  for (let step = 0; step < 23; step++) {
    clock.advance(50)
    await settled()
  }
  t.equal(started.length, 45)
  await Promise.all(ended)
  clock.advance(60_000)
  ask('c', 30)
  await settled()
  t.equal(started.length, 65, 'a long rest earns no more than the burst')
})

t.test('what is no longer wanted waits for nobody and takes nobody’s place', async t => {
  const { clock, ask, end, started, unwanted } = scene()
  ask('a', 7)
  await settled()
  unwanted.add('a5').add('a7')
  ask('b', 1)
  await settled()
  t.strictSame(started.slice(4).sort(), ['a5', 'a7', 'b1'], 'it is started to say so itself')
  await end('a5', 'a7')
  t.equal(started.length, 7, 'and its end frees no place')
  await end('a1')
  t.strictSame(started.slice(7), ['a6'])
  clock.advance(10_000)
  await settled()
  t.equal(started.length, 8, 'nothing is started twice')
})

t.test('an error of the work is the caller’s and frees the place', async t => {
  const queue = createWriteQueue(new HandClock())
  const failing = Array.from({ length: 6 }, () =>
    queue.run(
      'a',
      () => true,
      () => Promise.reject(new Error('no')),
    ),
  )
  const results = await Promise.allSettled(failing)
  t.ok(results.every(({ status }) => status === 'rejected'))
  t.equal(
    await queue.run(
      'a',
      () => true,
      () => Promise.resolve('still'),
    ),
    'still',
  )
})

t.test('a plain guard lets writes through until its signal aborts, and breaks none off', t => {
  const stop = new AbortController()
  const guard = guardUntil(stop.signal)
  t.equal(guard.maySend(), true)
  stop.abort()
  t.equal(guard.maySend(), false)
  t.equal(guard.over.aborted, false)
  t.end()
})
