import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http, { type RequestListener } from 'node:http'
import https from 'node:https'
import net, { type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { createAxiosTransport } from '../../lib/http/axios-transport.ts'
import { createNodeTransport } from '../../lib/http/node-transport.ts'
import {
  TransportError,
  type HttpRequest,
  type HttpTransport,
  type TransportOptions,
} from '../../lib/http/transport.ts'

type Create = (options?: TransportOptions) => HttpTransport & { close(): void }

async function listen(t: Test, server: net.Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function serve(t: Test, handler: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(t, http.createServer(handler))}`
}

/** A server that speaks bytes: `answer` gets each connection's first data. */
async function serveRaw(t: Test, answer: (socket: Socket, connection: number) => void): Promise<string> {
  let connections = 0
  const server = net.createServer(socket => {
    const connection = ++connections
    socket.on('data', () => answer(socket, connection))
  })
  return `http://127.0.0.1:${await listen(t, server)}`
}

function get(url: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'GET', url, headers: {}, signal: AbortSignal.timeout(5_000), maxResponseBytes: 1_000_000, ...more }
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => undefined,
    (error: unknown) => error,
  )
}

async function transportErrorOf(work: Promise<unknown>): Promise<TransportError> {
  const error = await failureOf(work)
  if (error instanceof TransportError) return error
  throw new Error('expected a TransportError', { cause: error })
}

function suite(t: Test, create: Create): void {
  const open = (t: Test, options?: TransportOptions) => {
    const transport = create(options)
    t.teardown(() => transport.close())
    return transport
  }

  t.test('a request arrives as it was given and the answer comes back as raw text', async t => {
    const url = await serve(t, (request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        const { method, headers } = request
        t.equal(headers['accept-encoding'], 'identity', 'the size limit counts what is sent')
        response.setHeader(
          'x-seen',
          `${method} ${request.url} ${String(headers['private-token'])} ${headers['content-type']}`,
        )
        response.end(`{"broken": "${body}"`)
      })
    })
    const response = await open(t)({
      ...get(`${url}/a%2Fb?c=d`),
      method: 'PUT',
      headers: { 'PRIVATE-TOKEN': 'glpat-1', 'content-type': 'application/json' },
      body: '{"ä":1}',
    })
    t.equal(response.status, 200)
    t.equal(response.headers['x-seen'], 'PUT /a%2Fb?c=d glpat-1 application/json')
    t.equal(response.body, '{"broken": "{"ä":1}"', 'broken JSON is not repaired, hidden or parsed')
  })

  t.test('JSON is left alone in both directions, valid or not', async t => {
    const url = await serve(t, (request, response) => {
      response.setHeader('content-type', 'application/json')
      request.pipe(response)
    })
    const transport = open(t)
    for (const body of [' { "a" : 1 }\n', '{"a":', 'text', '"text"', '7']) {
      const headers = { 'content-type': 'application/json' }
      t.equal((await transport({ ...get(url), method: 'POST', headers, body })).body, body)
    }
  })

  t.test('every HTTP status resolves, with its body', async t => {
    const url = await serve(t, (request, response) => {
      response.statusCode = Number(request.url?.slice(1))
      response.end('why')
    })
    const transport = open(t)
    for (const status of [204, 304, 400, 401, 404, 429, 500, 503]) {
      const response = await transport(get(`${url}/${status}`))
      t.equal(response.status, status)
      t.equal(response.body, status === 204 || status === 304 ? '' : 'why')
    }
  })

  t.test('a redirect is an answer, not an instruction', async t => {
    let requests = 0
    const url = await serve(t, (_request, response) => {
      requests++
      response.writeHead(302, { location: '/elsewhere' }).end()
    })
    const response = await open(t)(get(url))
    t.match(response, { status: 302, headers: { location: '/elsewhere' } })
    t.equal(requests, 1)
  })

  t.test('repeated headers are joined and names are in lower case', async t => {
    const url = await serveRaw(t, socket =>
      socket.end('HTTP/1.1 200 OK\r\nX-Some: a\r\nX-Some: b\r\nSet-Cookie: c\r\nSet-Cookie: d\r\n\r\n'),
    )
    const { headers } = await open(t)(get(url))
    t.equal(headers['x-some'], 'a, b')
    t.equal(headers['set-cookie'], 'c, d')
  })

  t.test('nobody listening is a network error that names the host', async t => {
    const server = net.createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    const error = await transportErrorOf(open(t)(get(`http://127.0.0.1:${port}/secret/path?token=1`)))
    t.equal(error.kind, 'network')
    t.match(error.message, `127.0.0.1:${port}`)
    t.notMatch(error.message, /secret/)
  })

  t.test('a connection reset before the answer is a network error', async t => {
    const url = await serveRaw(t, socket => socket.resetAndDestroy())
    t.equal((await transportErrorOf(open(t)(get(url)))).kind, 'network')
  })

  t.test('a connection reset within the body is a network error', async t => {
    const url = await serveRaw(t, socket => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () => socket.resetAndDestroy())
    })
    t.equal((await transportErrorOf(open(t)(get(url)))).kind, 'network')
  })

  t.test('a body shorter than announced is a network error', async t => {
    const url = await serveRaw(t, socket => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'))
    t.equal((await transportErrorOf(open(t)(get(url)))).kind, 'network')
  })

  t.test('an answer that is no HTTP is a network error', async t => {
    const url = await serveRaw(t, socket => socket.end('hello?\r\n\r\n'))
    t.equal((await transportErrorOf(open(t)(get(url)))).kind, 'network')
  })

  t.test('the deadline ends an exchange whose answer never begins, with the reason given', async t => {
    const url = await serveRaw(t, () => undefined)
    const reason = new Error('enough')
    const controller = new AbortController()
    const failure = failureOf(open(t)(get(url, { signal: controller.signal })))
    setTimeout(() => controller.abort(reason), 50)
    t.equal(await failure, reason)
  })

  t.test('the deadline ends an exchange whose body drips for ever', async t => {
    const url = await serve(t, (_request, response) => {
      response.write('x')
      const drip = setInterval(() => response.write('x'), 10)
      response.on('close', () => clearInterval(drip))
    })
    const failure = await failureOf(open(t)(get(url, { signal: AbortSignal.timeout(150) })))
    t.match(failure, { name: 'TimeoutError' })
  })

  t.test('a signal that has already aborted sends nothing', async t => {
    let connections = 0
    const url = await serveRaw(t, () => connections++)
    const reason = new Error('too late')
    t.equal(await failureOf(open(t)(get(url, { signal: AbortSignal.abort(reason) }))), reason)
    t.equal(connections, 0)
  })

  t.test('an answer at the size limit passes and one byte more does not, announced or not', async t => {
    const url = await serve(t, (request, response) => {
      const body = 'x'.repeat(request.url?.includes('over') ? 1001 : 1000)
      if (request.url?.includes('chunked')) response.write(body.slice(0, 10))
      response.end(request.url?.includes('chunked') ? body.slice(10) : body)
    })
    const transport = open(t)
    for (const how of ['chunked', 'announced']) {
      t.equal((await transport(get(`${url}/${how}`, { maxResponseBytes: 1000 }))).body.length, 1000)
      const error = await transportErrorOf(transport(get(`${url}/${how}/over`, { maxResponseBytes: 1000 })))
      t.equal(error.kind, 'too_large')
      t.match(error.message, /1000 bytes/)
    }
  })

  t.test('an endless answer is cut off at the limit, long before the deadline', async t => {
    const url = await serve(t, (_request, response) => {
      const flood = setInterval(() => response.write('x'.repeat(10_000)), 1)
      response.on('close', () => clearInterval(flood))
    })
    t.equal((await transportErrorOf(open(t)(get(url, { maxResponseBytes: 50_000 })))).kind, 'too_large')
  })

  t.test('proxy variables of the environment are ignored', async t => {
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'] as const
    const before = names.map(name => [name, process.env[name]] as const)
    for (const name of names) process.env[name] = 'http://127.0.0.1:9'
    t.teardown(() => {
      for (const [name, value] of before) {
        if (value === undefined) Reflect.deleteProperty(process.env, name)
        else process.env[name] = value
      }
    })
    const url = await serve(t, (_request, response) => response.end('direct'))
    t.equal((await open(t)(get(url))).body, 'direct')
  })

  t.test('one connection serves many requests, and a second transport has its own', async t => {
    let connections = 0
    const server = http.createServer((_request, response) => response.end('ok'))
    server.on('connection', () => connections++)
    const url = `http://127.0.0.1:${await listen(t, server)}`
    const transport = open(t)
    for (let request = 0; request < 5; request++) await transport(get(url))
    t.equal(connections, 1)
    await open(t)(get(url))
    t.equal(connections, 2)
  })

  t.test('no more connections than allowed are opened', async t => {
    let connections = 0
    const server = http.createServer((_request, response) => setTimeout(() => response.end('ok'), 20))
    server.on('connection', () => connections++)
    const url = `http://127.0.0.1:${await listen(t, server)}`
    const transport = open(t, { maxSockets: 2 })
    await Promise.all(Array.from({ length: 6 }, () => transport(get(url))))
    t.equal(connections, 2)
  })

  /** Answers one request per connection and resets the connection as soon as the next one arrives on it. */
  async function serveOnce(t: Test) {
    const seen: number[] = []
    const served = new Set<number>()
    const url = await serveRaw(t, (socket, connection) => {
      seen.push(connection)
      if (served.has(connection)) socket.resetAndDestroy()
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      served.add(connection)
    })
    return { url, seen }
  }

  t.test('a read on a connection that the server had closed meanwhile is sent again on a new one', async t => {
    const { url, seen } = await serveOnce(t)
    const transport = open(t)
    await transport(get(url))
    t.equal((await transport(get(url))).body, 'ok')
    t.same(seen, [1, 1, 2])
  })

  t.test('a write on a connection that the server had closed meanwhile is never sent again', async t => {
    const { url, seen } = await serveOnce(t)
    const transport = open(t)
    await transport(get(url))
    const error = await transportErrorOf(transport(get(url, { method: 'PUT', body: '{}' })))
    t.equal(error.kind, 'network')
    t.same(seen, [1, 1])
  })

  t.test('an error carries no header of the request, however deep one looks', async t => {
    const url = await serveRaw(t, socket => socket.resetAndDestroy())
    const request = get(url, { headers: { 'PRIVATE-TOKEN': 'glpat-secret' } })
    const error = await transportErrorOf(open(t)(request))
    t.notMatch(inspect(error, { depth: 20, showHidden: true }), /glpat-secret/)
  })

  t.test('a private CA is trusted when it is given, and only then', async t => {
    const { key, cert } = selfSigned(t)
    const server = https.createServer({ key, cert }, (_request, response) => response.end('private'))
    const url = `https://127.0.0.1:${await listen(t, server)}`
    t.equal((await open(t, { ca: cert })(get(url))).body, 'private')
    t.equal((await transportErrorOf(open(t)(get(url)))).kind, 'tls')
  })

  t.test('a certificate for another host is refused although its CA is trusted', async t => {
    const { key, cert } = selfSigned(t, 'DNS:gitlab.example.com')
    const server = https.createServer({ key, cert }, (_request, response) => response.end('private'))
    const url = `https://127.0.0.1:${await listen(t, server)}`
    t.equal((await transportErrorOf(open(t, { ca: cert })(get(url)))).kind, 'tls')
  })

  t.test('https spoken to a plain http port is a TLS error', async t => {
    const url = await serve(t, (_request, response) => response.end('plain'))
    t.equal((await transportErrorOf(open(t)(get(url.replace('http:', 'https:'))))).kind, 'tls')
  })

  t.test('a CA that is no certificate is refused at once', t => {
    const nonsense = '-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----'
    t.throws(() => create({ ca: nonsense }), /certificate 1 of the CA/)
    t.throws(() => create({ ca: '/etc/ssl/ca.pem' }), /no certificate/)
    t.end()
  })
}

function selfSigned(t: Test, san = 'IP:127.0.0.1'): { key: string; cert: string } {
  const dir = t.testdir({})
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const how = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const what = ['-subj', '/CN=test', '-addext', `subjectAltName=${san}`, '-keyout', key, '-out', cert]
  execFileSync('openssl', ['req', ...how, ...what], { stdio: 'pipe' })
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}

t.test('the axios transport', t => {
  suite(t, createAxiosTransport)
  t.end()
})

t.test('the Node transport', t => {
  suite(t, createNodeTransport)
  t.end()
})

t.test('the Node transport loads nothing but Node itself', t => {
  const sources = ['node-transport', 'agents', 'failure', 'transport'].map(name =>
    readFileSync(join(import.meta.dirname, `../../lib/http/${name}.ts`), 'utf8'),
  )
  const imports = sources.flatMap(source => [...source.matchAll(/from '([^']+)'/g)].map(match => match[1] ?? ''))
  t.ok(imports.length > 5)
  t.same(
    imports.filter(name => !name.startsWith('node:') && !name.startsWith('./')),
    [],
  )
  t.end()
})
