import type { Registry } from 'prom-client'
import { serviceNames } from '../../certs/build.ts'
import { createFileSource } from '../../certs/files.ts'
import { createKubernetesPublisher, createKubernetesSecretStore } from '../../certs/kubernetes.ts'
import { createCertificateMetrics } from '../../certs/metrics.ts'
import { CA_SECRET, WEBHOOK_CONFIGURATION, WEBHOOK_SERVICE } from '../../certs/names.ts'
import { createSelfSignedSource, SELF_SIGNED_TIMING } from '../../certs/self-signed.ts'
import type { CertificateSource } from '../../certs/source.ts'
import { createKubernetesClient } from '../../lib/kubernetes/client.ts'
import { loadKubeConfig, openConnection } from '../../lib/kubernetes/connection.ts'
import type { Clock, Random } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import { createNativeSidecars } from '../../webhook/native-sidecars.ts'
import { VERSION } from '../version.ts'

interface Parts {
  registry: Registry
  clock: Clock
  random: Random
  log: Log
}

/** What the webhook has from outside itself: its certificates, and what it knows of the cluster. */
export interface Surroundings {
  certificates: CertificateSource
  nativeSidecars: () => boolean
  start(): void
  stop(): Promise<void>
}

/** Certificates that somebody else keeps in files; no API server is needed or asked. */
export function fileCertificates({ cert, key }: { cert: string; key: string }, parts: Parts): Surroundings {
  const metrics = createCertificateMetrics(parts.registry)
  const certificates = createFileSource({ certificateFile: cert, keyFile: key, metrics, ...parts })
  return {
    certificates,
    nativeSidecars: () => false,
    start: () => certificates.start(),
    stop: () => certificates.stop(),
  }
}

interface ClusterOptions {
  kubeconfig: string | undefined
  env: NodeJS.ProcessEnv
  namespace: string
  /** Multiplies the times of the rotation; below 1 only in tests. */
  timeScale: number
}

/** Certificates of our own, kept in the cluster. Rejects when there is no API server to talk to by configuration. */
export async function openCluster(options: ClusterOptions, parts: Parts): Promise<Surroundings> {
  const { kubeconfig, env, namespace, timeScale } = options
  const { clock, registry } = parts
  const kubeConfig = loadKubeConfig(kubeconfig, env)
  const connection = await openConnection({ kubeConfig, clock, userAgent: `gitlab-runner-hadr/${VERSION}` })
  const client = createKubernetesClient({ connection, clock })
  const times = Object.entries(SELF_SIGNED_TIMING).map(([name, ms]: [string, number]) => [name, ms * timeScale])
  const certificates = createSelfSignedSource({
    secrets: createKubernetesSecretStore({ client, namespace, name: CA_SECRET }),
    bundles: createKubernetesPublisher({ client, name: WEBHOOK_CONFIGURATION }),
    names: serviceNames(WEBHOOK_SERVICE, namespace),
    metrics: createCertificateMetrics(registry),
    timing: Object.fromEntries(times) as typeof SELF_SIGNED_TIMING,
    ...parts,
  })
  const native = createNativeSidecars({ version: signal => client.serverVersion(signal), ...parts })
  return {
    certificates,
    nativeSidecars: () => native.known(),
    start: () => {
      certificates.start()
      native.start()
    },
    stop: async () => {
      await Promise.all([certificates.stop(), native.stop()])
      await connection.close()
    },
  }
}
