import t from 'tap'
import { createWorkQueue } from '../../decider/jobs/queue.ts'
import { createManualClock } from '../support/manual-clock.ts'

function createScene(capacity = 1000, concurrency = 4) {
  const clock = createManualClock()
  const done: string[] = []
  const errors: string[] = []
  const queue = createWorkQueue({ clock, capacity, concurrency, onError: key => errors.push(key) })
  let running = 0
  let most = 0
  const add = (key: string, more: { delayMs?: number; urgent?: boolean; takesMs?: number } = {}) =>
    queue.add({
      key,
      ...more,
      work: async () => {
        most = Math.max(most, ++running)
        await clock.sleep(more.takesMs ?? 0)
        running--
        done.push(key)
      },
      dropped: why => done.push(`${key} dropped: ${why}`),
    })
  return { clock, queue, add, done, errors, most: () => most }
}

t.test('work waits for its time, and never more than four pieces run at once', async t => {
  const { clock, add, done, most } = createScene()
  add('later', { delayMs: 1000 })
  for (let index = 0; index < 10; index++) add(`now-${index}`, { takesMs: 100 })
  await clock.advance(150)
  t.strictSame(done, ['now-0', 'now-1', 'now-2', 'now-3'])
  await clock.advance(800)
  t.equal(done.length, 10)
  await clock.advance(60)
  t.equal(done.at(-1), 'later')
  t.equal(most(), 4)
})

t.test('urgent work goes before what has waited longer', async t => {
  const { clock, add, done } = createScene(1000, 1)
  add('running', { takesMs: 100 })
  add('waiting', { takesMs: 100 })
  add('urgent', { urgent: true })
  await clock.advance(110)
  t.strictSame(done, ['running', 'urgent'])
})

t.test('a full queue drops what has waited longest, and says so', async t => {
  const { clock, queue, add, done } = createScene(2, 1)
  for (const key of ['running', 'a', 'b', 'c']) add(key, { takesMs: 100 })
  t.strictSame(done, ['a dropped: full'])
  t.equal(queue.size, 2)
  await clock.advance(1000)
  t.strictSame(done.slice(1), ['running', 'b', 'c'])
})

t.test('work that throws is told and holds up nothing', async t => {
  const { clock, queue, add, done, errors } = createScene(10, 1)
  queue.add({ key: 'broken', work: () => Promise.reject(new Error('broken')) })
  add('next')
  await clock.advance(10)
  t.strictSame([errors, done], [['broken'], ['next']])
})

t.test('stop waits for what runs and starts nothing more', async t => {
  const { clock, queue, add, done } = createScene(10, 1)
  add('running', { takesMs: 100 })
  add('waiting')
  const stopped = queue.stop()
  add('late')
  await clock.advance(200)
  await stopped
  t.strictSame(done, ['waiting dropped: stopped', 'late dropped: stopped', 'running'])
  t.equal(clock.pending, 0)
})
