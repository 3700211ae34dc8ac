/** An API object as it travels: plain JSON, unknown fields included. Only `metadata` is promised. */
export interface KubernetesObject {
  apiVersion?: string
  kind?: string
  metadata: KubernetesMetadata
  [field: string]: unknown
}

export interface KubernetesMetadata {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  labels?: Readonly<Record<string, string>>
  annotations?: Readonly<Record<string, string>>
  [field: string]: unknown
}

export interface JsonPatchOperation {
  op: 'add' | 'remove' | 'replace' | 'test'
  path: string
  value?: unknown
}

/** A Secret's content; values as bytes in base64. */
export interface Secret extends KubernetesObject {
  type?: string
  data?: Readonly<Record<string, string>>
}

/** Times are MicroTimes: exactly six decimals. */
export interface LeaseSpec {
  holderIdentity?: string
  leaseDurationSeconds?: number
  acquireTime?: string
  renewTime?: string
  leaseTransitions?: number
}

export interface Lease extends KubernetesObject {
  spec?: LeaseSpec
}

/** The `scale` subresource of a workload. */
export interface Scale {
  /** The server leaves the field out at zero; here it is 0. */
  wanted: number
  present: number
  /** As a `labelSelector` parameter takes it. */
  selector: string
}

export interface KubernetesEvent {
  regarding: { apiVersion: string; kind: string; namespace: string; name: string }
  type: 'Normal' | 'Warning'
  /** At most 128 characters each; a word in CamelCase. */
  reason: string
  action: string
  /** At most 1024 characters; longer ones are cut. */
  note: string
  /** Such as `gitlab-runner-hadr.io/decider`. */
  reportingController: string
  reportingInstance: string
}

/** 1.36.2 is `{ major: 1, minor: 36 }`. */
export interface ServerVersion {
  major: number
  minor: number
}

export interface AccessQuestion {
  verb: string
  resource: string
  group?: string
  subresource?: string
  namespace?: string
  name?: string
}
