import { systemClock, type Clock } from '../../lib/service/clock.ts'
import { TransportError, type HttpRequest, type HttpTransport } from '../../lib/http/transport.ts'
import type { GitLabCore } from './core.ts'
import { ConnectionBroken } from './faults.ts'

/**
 * A transport whose server is the given core: no sockets, so that a simulation on a virtual clock can use the real
 * client. `latencyMs` passes before the request arrives and again before the answer does. A caller that gives up gets
 * its signal's reason at once, and the request goes on without it: what was on its way to GitLab arrives there.
 */
export function createSimulatedTransport(
  core: GitLabCore,
  options: { clock?: Clock; latencyMs?: () => number } = {},
): HttpTransport {
  const { clock = systemClock, latencyMs = () => 0 } = options
  const travel = async () => {
    const ms = latencyMs()
    if (ms > 0) await clock.sleep(ms)
  }
  const exchange = async ({ method, url, headers, body = '', signal, maxResponseBytes }: HttpRequest) => {
    await travel()
    const { pathname, search } = new URL(url)
    const lowerCase = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
    const path = `${pathname}${search}`
    const { delivery, ...answer } = await core.handle({ method, path, headers: lowerCase, body, signal })
    if (delivery?.kind === 'truncated') throw new ConnectionBroken()
    if (delivery?.kind === 'drip') {
      const pieces = Math.ceil(Buffer.byteLength(answer.body) / delivery.chunkBytes)
      await clock.sleep(pieces * delivery.everyMs)
    }
    await travel()
    if (Buffer.byteLength(answer.body) > maxResponseBytes) {
      throw new TransportError('too_large', `the answer is longer than ${maxResponseBytes} bytes`)
    }
    return answer
  }
  return async request => {
    const { signal } = request
    signal.throwIfAborted()
    let onAbort = (): void => undefined
    const givenUp = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(signal.reason as Error)
      signal.addEventListener('abort', onAbort, { once: true })
    })
    try {
      return await Promise.race([exchange(request), givenUp])
    } catch (error) {
      if (error instanceof ConnectionBroken) throw new TransportError('network', 'connection reset', { cause: error })
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }
}
