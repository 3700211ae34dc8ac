import { Registry, type MetricObject } from 'prom-client'
import { createCertificateMetrics } from '../../certs/metrics.ts'
import { createFleetMetrics } from '../../decider/fleet/metrics.ts'
import { createJobsMetrics } from '../../decider/jobs/metrics.ts'
import { createDeciderMetrics } from '../../decider/metrics.ts'
import { registerBuildInfo } from '../../lib/service/build-info.ts'
import { registerSidecarMetrics } from '../../sidecar/metrics.ts'
import { createWebhookMetrics } from '../../webhook/metrics.ts'

export interface MetricEntry {
  name: string
  type: string
  help: string
  labels: readonly string[]
}

export interface ProgramMetrics {
  program: string
  metrics: readonly MetricEntry[]
}

/** Every metric of every program, taken from the very functions that register them. */
export function metricsOfPrograms(): ProgramMetrics[] {
  return Object.entries(REGISTER).map(([program, register]) => {
    const registry = new Registry()
    register(registry)
    registerBuildInfo(registry, program, '')
    return { program, metrics: registry.getMetricsAsArray().map(entryOf) }
  })
}

const REGISTER: Readonly<Record<string, (registry: Registry) => void>> = {
  sidecar: registry =>
    registerSidecarMetrics(registry, { podName: '', podNamespace: '', podIp: '', groupId: '' }, () => {
      throw new Error('nobody scrapes')
    }),
  decider: registry => {
    createDeciderMetrics(registry)
    createFleetMetrics(registry)
    createJobsMetrics(registry, [])
  },
  webhook: registry => {
    createWebhookMetrics({ registry, load: () => ({ requests: 0, bytes: 0 }), digest: '' })
    createCertificateMetrics(registry)
  },
}

function entryOf(metric: MetricObject): MetricEntry {
  // prom-client keeps them, but its types do not tell.
  const labels: unknown = Reflect.get(metric, 'labelNames')
  if (!Array.isArray(labels)) throw new Error(`${metric.name} has no label names`)
  return { name: metric.name, type: String(metric.type), help: metric.help, labels: labels.map(String) }
}
