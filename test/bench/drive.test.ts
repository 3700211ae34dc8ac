import t from 'tap'
import { closedLoop, fixedRate, type Worker } from './webhook/load/drive.ts'

/** A server on a clock that moves only while somebody waits for it. */
function createServer(tookMs: (number: number) => number) {
  let nowMs = 0
  let asked = 0
  const due: { atMs: number; answer: () => void }[] = []
  const worker = (): Worker => ({
    exchange: () =>
      new Promise(resolve => {
        due.push({ atMs: nowMs + tookMs(asked++), answer: () => resolve({ status: 200 }) })
      }),
  })
  return {
    worker,
    now: () => nowMs,
    asked: () => asked,
    /** One millisecond passes. */
    wait: async () => {
      nowMs++
      for (const each of due.splice(0)) {
        if (each.atMs <= nowMs) each.answer()
        else due.push(each)
      }
      await new Promise(setImmediate)
    },
  }
}

t.test('a server that stalls is charged for every request that was due meanwhile', async t => {
  // 1 ms each, but the tenth takes a second, on the only connection there is.
  const server = createServer(number => (number === 9 ? 1000 : 1))
  const result = await fixedRate([server.worker()], { ms: 2000, perSecond: 100 }, server.now, server.wait)
  t.equal(result.exchanges, 200)
  t.equal(server.asked(), 200)
  t.ok(result.latencies.max >= 1000)
  t.ok(result.latencies.p50 > 3, `a hundred requests waited for it, so that half were late: ${result.latencies.p50} ms`)
  t.ok(result.latencies.p90 > 700, `${result.latencies.p90} ms`)
})

t.test('a server that keeps up has the latencies that it has', async t => {
  const server = createServer(() => 2)
  const workers = [server.worker(), server.worker()]
  const result = await fixedRate(workers, { ms: 1000, perSecond: 100 }, server.now, server.wait)
  t.match(result, { exchanges: 100, latencies: { p50: 2, p99: 2, max: 2 } })
})

t.test('an answer that is no 200 ends the run', async t => {
  const refusing: Worker = { exchange: () => Promise.resolve({ status: 503 }) }
  const server = createServer(() => 0)
  await t.rejects(fixedRate([refusing], { ms: 10, perSecond: 1000 }, server.now, server.wait), /an answer of 503/)
  await t.rejects(closedLoop([refusing], { ms: 10 }, server.now), /an answer of 503/)
})

t.test('a connection that breaks ends the run', async t => {
  const broken: Worker = { exchange: () => Promise.reject(new Error('reset')) }
  const server = createServer(() => 0)
  await t.rejects(fixedRate([broken], { ms: 10, perSecond: 1000 }, server.now, server.wait), /an exchange failed/)
  await t.rejects(closedLoop([broken], { ms: 10 }, server.now), /reset/)
})

t.test('a closed loop ends after its time or its number, whichever comes first', async t => {
  let nowMs = 0
  const worker: Worker = {
    exchange: () => {
      nowMs += 5
      return Promise.resolve({ status: 200 })
    },
  }
  t.match(await closedLoop([worker], { ms: 100 }, () => nowMs), { exchanges: 20, seconds: 0.1, latencies: { max: 5 } })
  t.match(await closedLoop([worker], { ms: 1e9, limit: 7 }, () => nowMs), { exchanges: 7 })
})
