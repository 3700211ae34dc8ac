import type { Certificate } from '../lib/tls/pem.ts'
import { bundleOf, distinct, trusted, type Authorities, type Authority } from './authorities.ts'

/** The leaf that this replica serves. */
export interface Leaf {
  /** Fingerprint of the authority that signed it. */
  issuer: string
  notBeforeMs: number
  notAfterMs: number
  /** When to replace it: two thirds of its life, less jitter. */
  renewAtMs: number
}

/** One webhook's caBundle as the configuration shows it. */
export interface PublishedBundle {
  text: string
  certificates: readonly Certificate[]
}

export interface RotationState {
  authorities: Authorities
  published: readonly PublishedBundle[]
  /** For how long this replica has seen an authority, by fingerprint, in every webhook's caBundle. */
  shownForMs: ReadonlyMap<string, number>
  leaf: Leaf | undefined
}

export interface RotationConfig {
  leafLifeMs: number
  /** How long the configuration must have shown an authority before anyone relies on all API servers trusting it. */
  settleMs: number
}

/** What the Secret shall hold; `new` stands for an authority that is yet to be made. */
export interface StoredPlan {
  signing: Authority | 'new'
  next: Authority | 'new' | undefined
  retired: readonly Certificate[]
  retiredAtMs: number | undefined
}

export type StoreReason = 'first' | 'unusable' | 'due' | 'promote' | 'prune' | 'repair'
export type IssueReason = 'first' | 'renewal' | 'rotation'

export type RotationAction =
  | { do: 'store'; why: StoreReason; content: StoredPlan }
  | { do: 'publish'; bundle: string }
  | { do: 'issue'; why: IssueReason; issuer: Authority }

/** A foreign caBundle may hold the system's hundred roots; what we once published is a handful. */
const MAX_INHERITED = 8

/**
 * What to do next about authorities and this replica's leaf: at most one write of the Secret, then a publication, then a
 * leaf. Every replica runs it over what it reads, so that a crash anywhere is repaired by whoever looks next.
 *
 * The rotation loses no handshake because nobody serves a leaf before its authority was shown for `settleMs`, and no
 * authority leaves the bundle before the last leaf it signed has expired:
 * `next` is made and published beside `signing` → shown for `settleMs` → it signs, the old one is retired, each replica
 * replaces its leaf → the retired one is dropped when a leaf's life has passed.
 */
export function plan(state: RotationState, nowMs: number, config: RotationConfig): RotationAction[] {
  const { authorities, published } = state
  const actions: RotationAction[] = []
  const store = planStore(state, nowMs, config)
  if (store !== undefined) actions.push({ do: 'store', ...store })
  const signing = unlessExpired(authorities.signing, nowMs)
  if (signing === undefined) return actions

  const bundle = bundleOf(trusted(authorities))
  if (published.some(({ text }) => text !== bundle)) actions.push({ do: 'publish', bundle })
  const why = reasonToIssue(state, signing, nowMs, config)
  if (why !== undefined) actions.push({ do: 'issue', why, issuer: signing })
  return actions
}

/** Fingerprints of the authorities that every webhook of the configuration trusts. */
export function shownAuthorities(published: readonly PublishedBundle[]): string[] {
  const [first, ...others] = published.map(({ certificates }) => certificates.map(({ fingerprint }) => fingerprint))
  return (first ?? []).filter(fingerprint => others.every(other => other.includes(fingerprint)))
}

function planStore(
  { authorities, published, shownForMs }: RotationState,
  nowMs: number,
  { leafLifeMs, settleMs }: RotationConfig,
): { why: StoreReason; content: StoredPlan } | undefined {
  const { retiredAtMs } = authorities
  const signing = unlessExpired(authorities.signing, nowMs)
  const next = unlessExpired(authorities.next, nowMs)
  const retire = (certificates: readonly Certificate[]) =>
    certificates.length === 0
      ? { retired: [], retiredAtMs: undefined }
      : { retired: distinct(certificates.map(publicPart)), retiredAtMs: nowMs }

  if (signing === undefined) {
    // Other replicas may serve leaves of whatever was trusted until now: keep that trusted while those live.
    const inherited = published
      .flatMap(({ certificates }) => certificates)
      .filter(({ notAfterMs }) => notAfterMs > nowMs)
    const expired = authorities.signing === undefined ? [] : [authorities.signing]
    const old = distinct([...authorities.retired, ...expired, ...inherited]).slice(0, MAX_INHERITED)
    const kept = retire(old.filter(({ fingerprint }) => fingerprint !== next?.fingerprint))
    const why = old.length === 0 ? 'first' : 'unusable'
    return { why, content: { signing: next ?? 'new', next: undefined, ...kept } }
  }

  const kept = { signing, next, retired: authorities.retired, retiredAtMs }
  if (next !== undefined && next.notBeforeMs <= nowMs && (shownForMs.get(next.fingerprint) ?? 0) >= settleMs)
    return { why: 'promote', content: { signing: next, next: undefined, ...retire([...authorities.retired, signing]) } }
  if (kept.retired.length > 0 && retiredAtMs === undefined)
    return { why: 'repair', content: { ...kept, ...retire(kept.retired) } }
  // A replica that read the Secret just before the promotion may have signed with the old authority just after it.
  if (retiredAtMs !== undefined && nowMs >= retiredAtMs + leafLifeMs + settleMs)
    return { why: 'prune', content: { ...kept, ...retire([]) } }
  if (next === undefined && nowMs >= twoThirdsOf(signing)) return { why: 'due', content: { ...kept, next: 'new' } }
  if (authorities.next !== undefined && next === undefined) return { why: 'repair', content: kept }
  return undefined
}

function reasonToIssue(
  { leaf, shownForMs }: RotationState,
  signing: Authority,
  nowMs: number,
  { settleMs }: RotationConfig,
): IssueReason | undefined {
  // An authority from the future, by a clock that was wrong once: its leaves would fail too.
  if (signing.notBeforeMs > nowMs) return undefined
  if (leaf === undefined) return 'first'
  if (nowMs < leaf.notBeforeMs || nowMs >= leaf.notAfterMs) return 'renewal'
  if (leaf.issuer !== signing.fingerprint)
    return (shownForMs.get(signing.fingerprint) ?? 0) >= settleMs ? 'rotation' : undefined
  return nowMs >= leaf.renewAtMs ? 'renewal' : undefined
}

/** One that is not valid yet is kept: replacing it would set replicas with differing clocks at odds. */
function unlessExpired(authority: Authority | undefined, nowMs: number): Authority | undefined {
  return authority !== undefined && nowMs < authority.notAfterMs ? authority : undefined
}

function twoThirdsOf({ notBeforeMs, notAfterMs }: Certificate): number {
  return notBeforeMs + ((notAfterMs - notBeforeMs) * 2) / 3
}

/** Without the key, which must not outlive its use. */
function publicPart({ pem, fingerprint, notBeforeMs, notAfterMs }: Certificate): Certificate {
  return { pem, fingerprint, notBeforeMs, notAfterMs }
}
