import type { Test } from 'tap'
import { createKubernetesClient, type KubernetesClient } from '../../lib/kubernetes/client.ts'
import { openConnection, parseKubeConfig, type Connection } from '../../lib/kubernetes/connection.ts'
import { systemClock, type Clock } from '../../lib/service/clock.ts'
import { startKubernetes, type SimulatedKubernetes } from '../../simulator/kubernetes/server.ts'
import { evaluateCondition } from './cel.ts'

const TOKEN = 'test-token'

export interface Opened {
  connection: Connection
  client: KubernetesClient
}

/**
 * A simulated API server that ends with the test; its clock is the machine's, so that sockets and waits agree. Match
 * conditions are evaluated by a CEL library.
 */
export async function startApi(
  t: Test,
  options: Parameters<typeof startKubernetes>[0] = {},
): Promise<SimulatedKubernetes> {
  const api = await startKubernetes({ evaluateCondition, ...options })
  api.state.addToken(TOKEN, { username: 'tester' }, 'everything')
  t.teardown(() => api.close())
  return api
}

/** A client with connections of its own. */
export async function open(
  t: Test,
  api: SimulatedKubernetes,
  options: { clock?: Clock; token?: string; callDeadlineMs?: number } = {},
): Promise<Opened> {
  const { clock = systemClock, token = TOKEN, callDeadlineMs = 1000 } = options
  const kubeConfig = parseKubeConfig(api.kubeconfig(token))
  const connection = await openConnection({ kubeConfig, clock, userAgent: 'test', callDeadlineMs })
  t.teardown(() => connection.close())
  return { connection, client: createKubernetesClient({ connection, clock }) }
}
