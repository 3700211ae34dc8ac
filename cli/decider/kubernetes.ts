import { randomBytes } from 'node:crypto'
import type { Campaign } from '../../decider/app.ts'
import type { DeciderConfig } from '../../decider/config.ts'
import { type WorkloadReader, createWorkloadReader } from '../../decider/observe/workloads.ts'
import { type EventReporter, createEventReporter } from '../../decider/status/events.ts'
import { type KubernetesClient, createKubernetesClient } from '../../lib/kubernetes/client.ts'
import { loadKubeConfig, openConnection } from '../../lib/kubernetes/connection.ts'
import { startElector } from '../../lib/kubernetes/elector.ts'
import type { Clock, Random } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'

/** What the decider does with Kubernetes, where there is one. */
export interface KubernetesParts {
  campaign?: (onLeading: (lost: AbortSignal) => void) => Campaign
  events?: EventReporter
  readWorkloads?: WorkloadReader
  /** Of this process, and the namespace that it runs in. */
  client?: KubernetesClient
  namespace?: string
  close(): Promise<void>
}

export interface KubernetesSetting {
  config: DeciderConfig
  env: NodeJS.ProcessEnv
  kubeconfig: string | undefined
  /** False: this process is alone and leads. */
  lease: boolean
  /** POD_NAME; missing: events have nothing to be about. */
  podName?: string
  /** Of this process alone. */
  identity: string
  userAgent: string
  clock: Clock
  random: Random
  log: Log
}

/** Inside a cluster, or told of one. ~/.kube/config alone does not count: nobody means it by accident. */
export function knowsKubernetes(kubeconfig: string | undefined, env: NodeJS.ProcessEnv): boolean {
  return Boolean(kubeconfig ?? env['KUBERNETES_SERVICE_HOST'])
}

/** A process that starts again under its pod's name must not take itself for the one before. */
export function identityOf(podName: string | undefined, hostname: string): string {
  return `${podName ?? hostname}_${randomBytes(4).toString('hex')}`
}

/** Rejects with what is wrong with the cluster's configuration. */
export async function connectKubernetes(setting: KubernetesSetting): Promise<KubernetesParts> {
  const { config, podName, identity, clock, random, log } = setting
  const kubeConfig = loadKubeConfig(setting.kubeconfig, setting.env)
  const connection = await openConnection({ kubeConfig, clock, userAgent: setting.userAgent })
  const kubernetes = createKubernetesClient({ connection, clock })
  const home = kubeConfig.getContextObject(kubeConfig.getCurrentContext())?.namespace ?? 'default'
  const namespace = config.lease.namespace ?? home
  const name = config.lease.name ?? `gitlab-runner-hadr-decider-${config.cluster}`
  return {
    ...(setting.lease && {
      campaign: (onLeading: (lost: AbortSignal) => void) =>
        startElector({ leases: kubernetes, namespace, name, identity, clock, random, log, onLeading }),
    }),
    ...(podName !== undefined && {
      events: createEventReporter({ kubernetes, pod: { namespace: home, name: podName }, clock, log }),
    }),
    readWorkloads: createWorkloadReader({ kubernetes, namespace: home, clock, log }),
    client: kubernetes,
    namespace: home,
    close: () => connection.close(),
  }
}
