import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/**
 * A Service's address: each new connection goes to one of the endpoints of that moment and stays with it, as conntrack
 * has it.
 */
export async function startService(t: Test, endpoints: ReadonlySet<number>): Promise<number> {
  let turn = 0
  const sockets = new Set<Socket>()
  const service = createServer(client => {
    const target = [...endpoints][turn++ % endpoints.size]
    if (target === undefined) {
      client.destroy()
      return
    }
    const pod = connect(target, '127.0.0.1')
    sockets.add(client)
    client.once('close', () => sockets.delete(client))
    client.pipe(pod).pipe(client)
    for (const [one, other] of [
      [client, pod],
      [pod, client],
    ] as const) {
      one.on('error', () => undefined)
      one.on('close', () => other.destroy())
    }
  })
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    service.close()
  })
  return (service.address() as AddressInfo).port
}
