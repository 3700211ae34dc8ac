import { EventEmitter, once } from 'node:events'
import http, { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { Gauge, Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { silentLog, type Log } from '../../lib/service/log.ts'
import { createOpsServer, type OpsServerOptions } from '../../lib/service/ops-server.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { createManualClock } from '../support/manual-clock.ts'

async function start(t: Test, more: Partial<OpsServerOptions> = {}) {
  const registry = new Registry()
  new Gauge({ name: 'answer', help: 'Of everything.', registers: [registry] }).set(42)
  const server = createOpsServer({
    listen: { host: '127.0.0.1', port: 0 },
    registry,
    ready: () => true,
    portTaken: 'fail',
    clock: systemClock,
    random: () => 0,
    log: silentLog,
    ...more,
  })
  t.teardown(() => server.stop())
  await server.start()
  const ask = async (path: string, method = 'GET') => {
    const address = server.address()
    const response = await fetch(`http://${address?.host ?? ''}:${address?.port ?? 0}${path}`, { method })
    return { status: response.status, type: response.headers.get('content-type'), body: await response.text() }
  }
  return { server, ask }
}

t.test('metrics, liveness and readiness are served', async t => {
  let ready: true | string = 'no data yet'
  const { ask } = await start(t, { ready: () => ready })
  t.match(await ask('/metrics?x=1'), { status: 200, type: /^text\/plain; version=0\.0\.4/, body: /^answer 42$/m })
  t.match(await ask('/livez'), { status: 200, body: 'ok\n' })
  t.match(await ask('/readyz'), { status: 503, body: 'no data yet\n' })
  ready = true
  t.match(await ask('/readyz'), { status: 200 })
})

t.test('more paths may be added, unknown ones say what there is', async t => {
  const { ask } = await start(t, {
    routes: { '/why': () => ({ status: 418, body: '{}', contentType: 'application/json' }) },
  })
  t.match(await ask('/why'), { status: 418, type: 'application/json', body: '{}' })
  t.match(await ask('/nothing'), { status: 404, body: /\/metrics .*\/why/ })
})

t.test('a path that ends in /* takes all below it, and knows the path and the headers of a request', async t => {
  const { ask } = await start(t, {
    routes: {
      '/things/*': (query, { path, headers }) => ({
        status: 200,
        body: `${path} ${query.get('x') ?? ''} ${headers.host ?? ''}`,
      }),
      '/things/own': () => ({ status: 200, body: 'its own' }),
    },
  })
  t.match(await ask('/things/1/more?x=2'), { status: 200, body: /^\/things\/1\/more 2 127\.0\.0\.1:\d+$/ })
  t.match(await ask('/things/own'), { body: 'its own' })
  t.match(await ask('/things'), { status: 404 })
  t.match(await ask('/things/1', 'POST'), { status: 405 })
})

t.test('it is read only, and HEAD has no body', async t => {
  const { ask } = await start(t)
  t.match(await ask('/livez', 'POST'), { status: 405 })
  t.match(await ask('/livez', 'HEAD'), { status: 200, body: '' })
})

t.test('a part that fails costs its own answer only, and nobody outside sees why', async t => {
  const errors: object[] = []
  const log: Log = { ...silentLog, error: fields => void errors.push(fields) }
  const registry = {
    contentType: new Registry().contentType,
    metrics: () => Promise.reject(new Error('secret detail')),
  }
  const { ask } = await start(t, { registry, log })
  const { status, body } = await ask('/metrics')
  t.equal(status, 500)
  t.notMatch(body, 'secret detail')
  t.match(errors, [{ path: '/metrics' }])
  t.match(await ask('/livez'), { status: 200 })
})

t.test('a request that is none ends its connection only', async t => {
  const { server, ask } = await start(t)
  const socket = connect(server.address()?.port ?? 0, '127.0.0.1')
  socket.end('nonsense\r\n\r\n')
  socket.resume()
  await once(socket, 'close')
  t.match(await ask('/livez'), { status: 200 })
})

t.test('a taken port fails the start of a program that may exit', async t => {
  const holder = createServer().listen(0, '127.0.0.1')
  t.teardown(() => holder.close())
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  await t.rejects(start(t, { listen: { host: '127.0.0.1', port } }), { code: 'EADDRINUSE' })
})

t.test('a taken port is tried again ever more seldom, and served as soon as it is free', async t => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const clock = createManualClock()
  const tries: number[] = []
  const errors: string[] = []
  const log: Log = {
    ...silentLog,
    debug: () => void tries.push(clock.monotonicMs()),
    error: (_fields, message) => void errors.push(message),
  }
  const { server, ask } = await start(t, { listen: { host: '127.0.0.1', port }, portTaken: 'retry', clock, log })
  t.equal(server.address(), undefined)
  while (tries.length < 8) await clock.advance(1_000)
  const gaps = tries.map((at, index) => at - (tries[index - 1] ?? 0))
  t.same(gaps, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  t.equal(errors.length, 1, 'said once')
  holder.close()
  await once(holder, 'close')
  while (server.address() === undefined) await clock.advance(1_000)
  t.match(await ask('/livez'), { status: 200 })
})

t.test('stopping while the port is taken ends the tries', async t => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const clock = createManualClock()
  const { server } = await start(t, { listen: { host: '127.0.0.1', port }, portTaken: 'retry', clock })
  await server.stop()
  t.equal(clock.pending, 0)
  holder.close()
  await once(holder, 'close')
  await clock.advance(120_000)
  t.equal(server.address(), undefined)
})

t.test('stopping lets idle connections go, ends slow ones after a second, and may be asked twice', async t => {
  const arrivals = new EventEmitter()
  const arrived = once(arrivals, 'request')
  const hang = () => {
    arrivals.emit('request')
    return new Promise<never>(() => undefined)
  }
  const { server } = await start(t, { routes: { '/hang': hang } })
  const request = http.get({ port: server.address()?.port, host: '127.0.0.1', path: '/hang' })
  const broken = once(request, 'error')
  await arrived
  const startedMs = performance.now()
  await Promise.all([server.stop(), server.stop()])
  t.ok(performance.now() - startedMs < 3_000)
  await broken
  t.equal(server.address(), undefined)
})
