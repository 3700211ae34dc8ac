import type { ResourceType } from '../resources.ts'
import { deployment, statefulSet } from './deployment.ts'
import { event } from './event.ts'
import type { Kind } from './kind.ts'
import { lease } from './lease.ts'
import { namespace } from './namespace.ts'
import { plain } from './plain.ts'
import { pod } from './pod.ts'
import { secret } from './secret.ts'
import { webhookConfiguration } from './webhook-configuration.ts'

const KINDS: Readonly<Record<string, Kind>> = {
  Pod: pod,
  Secret: secret,
  Event: event,
  Lease: lease,
  Deployment: deployment,
  StatefulSet: statefulSet,
  Namespace: namespace,
  ConfigMap: plain,
  Service: plain,
  ResourceQuota: plain,
  LimitRange: plain,
  ServiceAccount: plain,
  Role: plain,
  RoleBinding: plain,
  ClusterRole: plain,
  ClusterRoleBinding: plain,
  PodDisruptionBudget: plain,
  NetworkPolicy: plain,
  PodMonitor: plain,
  PrometheusRule: plain,
  HorizontalPodAutoscaler: plain,
  ScaledObject: plain,
  MutatingWebhookConfiguration: webhookConfiguration,
}

export function kindOf(type: ResourceType): Kind {
  const kind = KINDS[type.kind]
  if (!kind) throw new Error(`no rules for ${type.kind}`)
  return kind
}
