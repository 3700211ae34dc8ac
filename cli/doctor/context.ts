import type { DeciderConfig } from '../../decider/config.ts'
import type { PoolConfig } from '../../decider/model.ts'
import type { InstantResult } from '../../lib/prometheus/answer.ts'
import type { WebhookConfig } from '../../webhook/config.ts'
import type { GitLabFacts } from './gitlab-facts.ts'
import type { KubernetesFacts } from './kubernetes-facts.ts'

/** What a TLS server showed: undefined when its certificate is trusted for that name, else OpenSSL's word. */
export type ShakeHands = (
  at: { host: string; port: number; servername: string; ca: string },
  signal: AbortSignal,
) => Promise<string | undefined>

/** Everything a check may look at. A part that was not given is undefined, and its checks say what they need. */
export interface DoctorContext {
  config: DeciderConfig | undefined
  pools: readonly PoolConfig[]
  webhook: WebhookConfig | undefined
  gitlab: GitLabFacts | undefined
  /** The decider's own query, asked once. */
  capacity: (() => Promise<InstantResult>) | undefined
  kubernetes: KubernetesFacts | undefined
  /** Why there is no Kubernetes. */
  kubernetesProblem: string
  runnerNamespace: string
  /** Whether Services can be reached from here. */
  insideCluster: boolean
  shakeHands: ShakeHands
  /** The machine's own clock. */
  nowMs: () => number
}
