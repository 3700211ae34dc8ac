import t from 'tap'
import { systemClock } from '../../lib/service/clock.ts'

t.test("a sleep never ends before its time, though Node's timers may by up to two milliseconds", async t => {
  const MS = 2.9
  for (let i = 0; i < 20; i++) {
    const startMs = systemClock.monotonicMs()
    await systemClock.sleep(MS)
    const tookMs = systemClock.monotonicMs() - startMs
    t.ok(tookMs >= MS, `${tookMs} ms`)
  }
})

t.test('a sleep that is aborted rejects with the reason, before and during its time', async t => {
  const reason = new Error('enough')
  await t.rejects(systemClock.sleep(60_000, AbortSignal.abort(reason)), reason)
  const controller = new AbortController()
  const sleep = systemClock.sleep(60_000, controller.signal)
  controller.abort(reason)
  await t.rejects(sleep, reason)
})

t.test('a sleep may be longer than the longest timer of Node', async t => {
  const controller = new AbortController()
  const sleep = systemClock.sleep(2 ** 40, controller.signal)
  await systemClock.sleep(20)
  controller.abort(new Error('still asleep'))
  await t.rejects(sleep, { message: 'still asleep' })
})
