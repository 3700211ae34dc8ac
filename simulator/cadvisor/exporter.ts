import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Clock } from '../../lib/service/clock.ts'
import { areaUntil, valueAt, type Curve } from './curve.ts'

/** How a container burdens its node, in seconds since its start. */
export interface ContainerLoad {
  name: string
  cpuCores: Curve
  memoryBytes: Curve
  diskReadBytesPerSecond: Curve
  diskWriteBytesPerSecond: Curve
  /** Share of the scheduler's periods in which it wanted more than its limit. */
  throttledRatio: Curve
}

export interface PodLoad {
  namespace: string
  pod: string
  /** Milliseconds since 1970. */
  startedMs: number
  containers: readonly ContainerLoad[]
  receiveBytesPerSecond: Curve
  transmitBytesPerSecond: Curve
}

export interface CadvisorExporter {
  /** The whole URL of the metrics. */
  url: string
  close(): Promise<void>
}

/** The kernel's default period of CPU limits. */
const PERIODS_PER_SECOND = 10

type Labels = Readonly<Record<string, string>>

/**
 * Serves what a kubelet serves at `/metrics/cadvisor`, for pods with known curves: per container, and with an empty
 * `container` for the whole pod's cgroup and `POD` for its sandbox, as kubelets of various ages do. `pods` is asked at each
 * scrape: what is not in it any more is gone, as after the deletion of a pod.
 */
export async function startCadvisor({
  clock,
  pods,
}: {
  clock: Clock
  pods: () => readonly PodLoad[]
}): Promise<CadvisorExporter> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
    response.end(exposition(pods(), clock.wallMs()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics/cadvisor`,
    close: async () => {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

interface Family {
  type: 'counter' | 'gauge'
  /** The value of one container after `seconds`. */
  of: (load: ContainerLoad, seconds: number) => number
}

const CONTAINER: Readonly<Record<string, Family>> = {
  container_cpu_usage_seconds_total: { type: 'counter', of: (load, s) => areaUntil(load.cpuCores, s) },
  container_memory_working_set_bytes: { type: 'gauge', of: (load, s) => valueAt(load.memoryBytes, s) },
  container_fs_reads_bytes_total: { type: 'counter', of: (load, s) => areaUntil(load.diskReadBytesPerSecond, s) },
  container_fs_writes_bytes_total: { type: 'counter', of: (load, s) => areaUntil(load.diskWriteBytesPerSecond, s) },
  container_cpu_cfs_periods_total: { type: 'counter', of: (_load, s) => s * PERIODS_PER_SECOND },
  container_cpu_cfs_throttled_periods_total: {
    type: 'counter',
    of: (load, s) => areaUntil(load.throttledRatio, s) * PERIODS_PER_SECOND,
  },
}

function exposition(pods: readonly PodLoad[], nowMs: number): string {
  const lines: string[] = []
  for (const [name, { type, of }] of Object.entries(CONTAINER)) {
    lines.push(`# TYPE ${name} ${type}`)
    for (const { namespace, pod, startedMs, containers } of pods) {
      const seconds = Math.max(0, (nowMs - startedMs) / 1000)
      const tell = (container: string, value: number) => {
        lines.push(sample(name, { namespace, pod, container, id: `/kubepods/${pod}/${container}` }, value, nowMs))
      }
      for (const load of containers) tell(load.name, of(load, seconds))
      const whole = containers.reduce((sum, load) => sum + of(load, seconds), 0)
      tell('', whole)
      tell('POD', whole / 1000)
    }
  }
  for (const direction of ['receive', 'transmit'] as const) {
    const name = `container_network_${direction}_bytes_total`
    lines.push(`# TYPE ${name} counter`)
    for (const { namespace, pod, startedMs, ...load } of pods) {
      const seconds = Math.max(0, (nowMs - startedMs) / 1000)
      const curve = direction === 'receive' ? load.receiveBytesPerSecond : load.transmitBytesPerSecond
      // Older kubelets call the sandbox, which owns the network, POD; newer ones leave the name empty.
      const labels = { namespace, pod, container: 'POD', interface: 'eth0' }
      lines.push(sample(name, labels, areaUntil(curve, seconds), nowMs))
    }
  }
  return `${lines.join('\n')}\n`
}

/** With the time when it was measured, as cAdvisor does. */
function sample(name: string, labels: Labels, value: number, atMs: number): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}=${JSON.stringify(text)}`)
  return `${name}{${pairs.join(',')}} ${value} ${Math.round(atMs)}`
}
