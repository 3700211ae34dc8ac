import t from 'tap'
import { silentLog, type Log } from '../../lib/service/log.ts'
import { StopStack } from '../../lib/service/stop-stack.ts'
import { createManualClock } from '../support/manual-clock.ts'

function create(log: Log = silentLog) {
  const clock = createManualClock()
  return { clock, stack: new StopStack({ clock, log }) }
}

t.test('what was started last is stopped first, and each waits for the one before', async t => {
  const { stack } = create()
  const stopped: string[] = []
  stack.add('server', () => void stopped.push('server'))
  stack.add('loop', async () => {
    await new Promise(resolve => setImmediate(resolve))
    stopped.push('loop')
  })
  t.same(await stack.drain({ withinMs: 1_000 }), [])
  t.same(stopped, ['loop', 'server'])
})

t.test('a part that fails is named, and the others are stopped all the same', async t => {
  const errors: object[] = []
  const { stack } = create({ ...silentLog, error: fields => void errors.push(fields) })
  let stopped = false
  stack.add('first', () => void (stopped = true))
  stack.add('second', () => {
    throw new Error('broken')
  })
  stack.add('third', () => Promise.reject(new Error('broken, too')))
  t.same(await stack.drain({ withinMs: 1_000 }), ['third', 'second'])
  t.equal(stopped, true)
  t.match(errors, [{ part: 'third' }, { part: 'second' }])
})

t.test('a part that hangs does not hold up the end, and those below it are still told', async t => {
  const { clock, stack } = create()
  let told = false
  stack.add('below', () => {
    told = true
    return new Promise(() => undefined)
  })
  stack.add('hangs', () => new Promise(() => undefined))
  const drained = stack.drain({ withinMs: 500 })
  await clock.advance(499)
  t.equal(told, false)
  await clock.advance(1)
  t.same(await drained, ['hangs', 'below'])
  t.equal(told, true)
})

t.test('a second call gets the answer of the first, and nothing is stopped twice', async t => {
  const { clock, stack } = create()
  let times = 0
  stack.add('part', () => void (times += 1))
  const [first, second] = await Promise.all([stack.drain({ withinMs: 9 }), stack.drain({ withinMs: 9 })])
  t.equal(first, second)
  t.equal(times, 1)
  t.equal(clock.pending, 0, 'no timer is left behind')
})
