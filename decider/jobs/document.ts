/** What is known of one job: the document that is kept, served as JSON and stored as a package. */

import type { Summary } from './summary.ts'

/** As gitlab-runner's Kubernetes executor annotates its pods. */
export interface JobIdentity {
  id: number
  projectId: number
  /** Words of users: to be shown as text only. Null where the runner did not tell. */
  name: string | null
  ref: string | null
  sha: string | null
  url: string | null
}

/** Cores and bytes. What is not set in the pod is absent: there is no such request or limit. */
export interface Amounts {
  cpuCores?: number
  memoryBytes?: number
}

export interface ContainerFacts {
  name: string
  init: boolean
  requests: Amounts
  limits: Amounts
  restarts: number
  oomKilled: boolean
  /** Null while it runs, or when nobody saw it end. */
  exitCode: number | null
}

export interface PodFacts {
  namespace: string
  name: string
  uid: string
  node: string | null
}

/** Seconds since 1970, value. */
export type JobPoint = readonly [seconds: number, value: number]

export interface JobSeries {
  labels: Readonly<Record<string, string>>
  /** In time order; where Prometheus had nothing there is no point. */
  points: readonly JobPoint[]
  summary: Summary
}

export const OUTCOMES = ['complete', 'partial', 'empty', 'failed'] as const

export interface QueryResult {
  name: string
  unit: string
  /** As it was sent. */
  query: string
  /** `partial`: Prometheus warned; `empty`: it knows no such series; `failed`: it refused, or did not answer. */
  outcome: (typeof OUTCOMES)[number]
  series: readonly JobSeries[]
}

export interface JobMetrics {
  schema: 1
  cluster: string
  job: JobIdentity
  pod: PodFacts
  window: { start: string; end: string; stepSeconds: number }
  /** The job still ran, or its last samples were not in yet, when this was collected. */
  partial: boolean
  collectedAt: string
  containers: readonly ContainerFacts[]
  queries: readonly QueryResult[]
  /** What a reader must know before believing the numbers, in sentences. */
  warnings: readonly string[]
}
