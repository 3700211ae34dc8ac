import { once } from 'node:events'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import type { Clock, Random } from '../../lib/service/clock.ts'

/**
 * What may happen to one request and its answer. `lost`: the connection breaks before the server saw anything;
 * `unanswered`: the server did what it was asked, and the connection breaks before the caller hears of it.
 */
export const MISHAPS = ['late', 'lost', 'unanswered', 'truncated', 'half_open'] as const
export type Mishap = (typeof MISHAPS)[number]

export interface ChaosProxy {
  /** `http://127.0.0.1:PORT`, in the place of the server's own. */
  url: string
  /** How often each mishap has happened. */
  readonly seen: Readonly<Record<Mishap, number>>
  /** From now on every byte passes. Connections that hang are broken, as when a network heals. */
  heal(): void
  close(): Promise<void>
}

export interface ChaosOptions {
  target: string
  /** Chance of each mishap per request; what is left of 1 passes untouched. */
  chances: Readonly<Record<Mishap, number>>
  lateMs: number
  clock: Clock
  random: Random
}

/** A TCP proxy before an HTTP server that treats each request as badly as chance will have it. */
export async function startChaosProxy(options: ChaosOptions): Promise<ChaosProxy> {
  const { target, chances, lateMs, clock, random } = options
  const { hostname, port } = new URL(target)
  const seen = Object.fromEntries(MISHAPS.map(mishap => [mishap, 0])) as Record<Mishap, number>
  const hanging = new Set<Socket>()
  const open = new Set<Socket>()
  const closing = new AbortController()
  let healed = false

  function draw(): Mishap | undefined {
    if (healed) return undefined
    let chance = random()
    const mishap = MISHAPS.find(each => (chance -= chances[each]) < 0)
    if (mishap) seen[mishap]++
    return mishap
  }

  const server = createServer(client => {
    const upstream = connect({ host: hostname, port: Number(port) })
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    let present: Mishap | undefined
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket.setNoDelay(true)
      socket.on('error', end)
      socket.on('close', () => {
        open.delete(socket)
        hanging.delete(socket)
        end()
      })
    }
    client.on('data', request => {
      present = draw()
      if (present === 'lost') client.resetAndDestroy()
      else if (present === 'half_open') hanging.add(client)
      else upstream.write(request)
    })
    upstream.on('data', answer => {
      switch (present) {
        case 'unanswered':
          client.resetAndDestroy()
          break
        case 'truncated':
          client.end(answer.subarray(0, Math.ceil(answer.length / 2)))
          break
        case 'late':
          upstream.pause()
          clock
            .sleep(lateMs * (0.5 + random()), closing.signal)
            .then(() => {
              client.write(answer)
              upstream.resume()
            })
            .catch(end)
          break
        default:
          client.write(answer)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    heal() {
      healed = true
      for (const socket of hanging) socket.destroy()
    },
    async close() {
      closing.abort(new Error('the proxy closes'))
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
