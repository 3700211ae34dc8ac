/**
 * The two things in Kubernetes that replicas share. Both are written with optimistic concurrency: a write names the
 * version it was computed from, and another writer in between makes it a conflict, never a loss. A failed call rejects;
 * the callers put a deadline on each by `signal`.
 */

export interface SecretSnapshot {
  /** Decoded from base64; a value that is no UTF-8 may be garbled. */
  data: Readonly<Record<string, string>>
  resourceVersion: string
}

export type WriteOutcome = 'written' | 'conflict'

/** The one Secret that keeps the authorities. */
export interface SecretStore {
  /** Undefined: the Secret does not exist, and our rights do not suffice to create it. */
  get(signal: AbortSignal): Promise<SecretSnapshot | undefined>
  /** Replaces all of its data. Conflict also when it has been deleted meanwhile. */
  replace(data: Readonly<Record<string, string>>, resourceVersion: string, signal: AbortSignal): Promise<WriteOutcome>
}

export interface PublishedBundles {
  /** The caBundle of each webhook of the configuration, in its order, decoded; '' where none is set. */
  bundles: readonly string[]
  resourceVersion: string
}

/** The caBundles of the one webhook configuration: what API servers trust when they call us. */
export interface CaBundlePublisher {
  /** Undefined: the configuration does not exist. */
  read(signal: AbortSignal): Promise<PublishedBundles | undefined>
  /** Gives every webhook of the configuration this bundle (PEM). */
  publish(bundle: string, resourceVersion: string, signal: AbortSignal): Promise<WriteOutcome>
}
