import { Agent } from 'node:https'
import { once } from 'node:events'
import { connect as tlsConnect } from 'node:tls'
import t from 'tap'
import { systemClock } from '../../lib/service/clock.ts'
import { startService } from '../support/service.ts'
import { admit, call, createAuthority, createPair, reviewBody, SERVER_NAME, startWebhook } from '../support/webhook.ts'

const authority = await createAuthority()
const ca = authority.certificate

/** Calls at a fixed rate, whatever the answers take, until it is stopped; then answers with what came of them. */
function startLoad(perSecond: number, send: (uid: string) => ReturnType<typeof call>) {
  const failures: string[] = []
  const pending: Promise<void>[] = []
  const one = async (uid: string) => {
    try {
      const { status, text } = await send(uid)
      if (status !== 200 || !text.includes(`"${uid}"`)) failures.push(`${status} ${text}`)
    } catch (error) {
      failures.push(String(error))
    }
  }
  const startedMs = performance.now()
  const timer = setInterval(() => {
    const due = ((performance.now() - startedMs) / 1000) * perSecond
    while (pending.length < due) pending.push(one(`u${pending.length}`))
  }, 5)
  return async () => {
    clearInterval(timer)
    await Promise.all(pending)
    return { calls: pending.length, failures }
  }
}

t.test('a replica that stops loses none of 500 calls a second on pooled connections', async t => {
  const pair = await createPair(authority)
  const leaving = await startWebhook(t, pair, admit, { endpointLagMs: 1500 })
  const staying = await startWebhook(t, pair, admit)
  const endpoints = new Set([leaving.port, staying.port])
  const port = await startService(t, endpoints)
  const agent = new Agent({ keepAlive: true, maxSockets: 50, scheduling: 'fifo' })
  t.teardown(() => agent.destroy())
  let closing = 0
  // An API server after a rollout: many connections, all used in turn.
  await Promise.all(Array.from({ length: 30 }, (_, index) => call({ port, ca, agent, body: reviewBody(`w${index}`) })))
  const stopLoad = startLoad(500, async uid => {
    const answer = await call({ port, ca, agent, body: reviewBody(uid) })
    if (answer.headers['connection'] === 'close') closing++
    return answer
  })

  while (leaving.exchanges.length < 100 || staying.exchanges.length < 100) await systemClock.sleep(10)
  t.equal(closing, 0)
  const before = leaving.exchanges.length
  const stopped = leaving.server.stop()
  t.equal(leaving.server.ready(), 'draining', 'at once')
  await systemClock.sleep(700)
  endpoints.delete(leaving.port)
  await stopped
  t.equal(leaving.server.address(), undefined)
  await systemClock.sleep(300)
  const { calls, failures } = await stopLoad()

  t.strictSame(failures, [])
  t.ok(calls > 800, `${calls} calls`)
  t.ok(leaving.exchanges.length > before, 'it answered while it drained')
  t.ok(closing > 0, 'and asked to be left')
  t.equal(leaving.exchanges.length + staying.exchanges.length, calls + 30)
  t.equal(staying.server.ready(), true)
})

t.test('a second stop is the first one, and a stop while nobody calls ends at once', async t => {
  const { server } = await startWebhook(t, await createPair(authority), admit)
  const first = server.stop()
  t.equal(server.stop(), first)
  await first
  t.equal(server.ready(), 'draining')
})

t.test('a call that is under way when the server closes is answered', async t => {
  const { server, port } = await startWebhook(t, await createPair(authority), admit)
  const socket = tlsConnect({ port, host: '127.0.0.1', ca, servername: SERVER_NAME })
  await once(socket, 'secureConnect')
  const body = reviewBody('late')
  socket.write(
    `POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
  )
  await systemClock.sleep(50)
  const stopped = server.stop()
  await systemClock.sleep(50)
  const answered = once(socket, 'data')
  socket.write(body)
  const [head] = (await answered) as [Buffer]
  t.match(head.toString(), /^HTTP\/1\.1 200 /)
  t.match(head.toString().toLowerCase(), 'connection: close')
  await stopped
})

t.test('certificates change under load without a failed call, and the next handshake sees the new one', async t => {
  const next = await createAuthority()
  const [first, second, foreign] = await Promise.all([createPair(authority), createPair(authority), createPair(next)])
  const { server, port } = await startWebhook(t, first, admit)
  const agent = new Agent({ keepAlive: true, maxSockets: 20 })
  t.teardown(() => agent.destroy())
  const both = ca + next.certificate
  let turn = 0
  // One call in five shakes hands anew.
  const stopLoad = startLoad(300, uid => {
    const body = reviewBody(uid)
    return turn++ % 5 === 0 ? call({ port, ca: both, body }) : call({ port, ca: both, agent, body })
  })

  for (const pair of [second, foreign, first, foreign]) {
    await systemClock.sleep(200)
    t.equal(server.useCertificate(pair), undefined)
  }
  await systemClock.sleep(200)
  t.match(server.useCertificate({ ...first, key: second.key }), /does not belong/)
  const { calls, failures } = await stopLoad()
  t.strictSame(failures, [])
  t.ok(calls > 200, `${calls} calls`)
  t.equal((await call({ port, ca: next.certificate, body: reviewBody('u') })).status, 200)
  await t.rejects(call({ port, ca, body: reviewBody('u') }), 'the first authority’s leaf is served no more')
})
