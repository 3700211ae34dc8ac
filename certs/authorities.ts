import { createPrivateKey } from 'node:crypto'
import { certificatesIn, parseCertificate, type Certificate } from '../lib/tls/pem.ts'

/** An authority that can sign. */
export interface Authority extends Certificate {
  /** PKCS#8 in PEM. */
  key: string
}

/** What the Secret holds: everything that the staged rotation must remember between processes. */
export interface Authorities {
  /** Signs leaves. */
  signing: Authority | undefined
  /** Will sign once every API server trusts it. */
  next: Authority | undefined
  /** Sign no more, but leaves of theirs may still be served. */
  retired: readonly Certificate[]
  /** When the newest of `retired` stopped signing; milliseconds since 1970. */
  retiredAtMs: number | undefined
}

const KEYS = {
  signing: { certificate: 'ca.crt', key: 'ca.key' },
  next: { certificate: 'next-ca.crt', key: 'next-ca.key' },
  retired: 'retired-ca.crt',
  retiredAt: 'retired-at',
} as const

/**
 * Reads the Secret's data. A part that is absent or broken is left out; `flaws` says in words what was broken, so that a
 * person learns of it, while the rotation mends it.
 */
export function decodeAuthorities(data: Readonly<Record<string, string>>): {
  authorities: Authorities
  flaws: string[]
} {
  const flaws: string[] = []
  const read = (names: { certificate: string; key: string }): Authority | undefined => {
    const certificate = data[names.certificate] ?? ''
    const key = data[names.key] ?? ''
    if (certificate === '' && key === '') return undefined
    const authority = authorityOf(certificate, key)
    if (typeof authority !== 'string') return authority
    flaws.push(`${names.certificate} and ${names.key}: ${authority}`)
    return undefined
  }
  const signing = read(KEYS.signing)
  const next = read(KEYS.next)
  const retiredAtMs = Date.parse(data[KEYS.retiredAt] ?? '')
  const broken = signing === undefined ? certificatesIn(data[KEYS.signing.certificate] ?? '') : []
  return {
    authorities: {
      signing,
      next: next?.fingerprint === signing?.fingerprint ? undefined : next,
      // Without its key an authority cannot sign, but what it signed is still served somewhere.
      retired: distinct([...certificatesIn(data[KEYS.retired] ?? ''), ...broken]),
      retiredAtMs: Number.isNaN(retiredAtMs) ? undefined : retiredAtMs,
    },
    flaws,
  }
}

export function encodeAuthorities({ signing, next, retired, retiredAtMs }: Authorities): Record<string, string> {
  return {
    ...(signing && { [KEYS.signing.certificate]: signing.pem, [KEYS.signing.key]: signing.key }),
    ...(next && { [KEYS.next.certificate]: next.pem, [KEYS.next.key]: next.key }),
    ...(retired.length > 0 && { [KEYS.retired]: bundleOf(retired) }),
    ...(retiredAtMs !== undefined && { [KEYS.retiredAt]: new Date(retiredAtMs).toISOString() }),
  }
}

/** What clients must trust, in an order that every replica computes alike. */
export function trusted({ signing, next, retired }: Authorities): Certificate[] {
  return distinct([signing, next, ...retired].filter(authority => authority !== undefined))
}

export function bundleOf(certificates: readonly Certificate[]): string {
  return certificates.map(({ pem }) => pem).join('')
}

export function distinct<C extends Certificate>(certificates: readonly C[]): C[] {
  return [...new Map(certificates.map(certificate => [certificate.fingerprint, certificate])).values()]
}

/** The authority that two PEM texts make, or why they make none. Its dates are the planner's concern. */
export function authorityOf(certificatePem: string, keyPem: string): Authority | string {
  const certificate = parseCertificate(certificatePem)
  if (certificate === undefined) return 'the certificate cannot be parsed'
  if (!certificate.ca) return 'the certificate is not that of an authority'
  const [described] = certificatesIn(certificate.toString())
  if (described === undefined) return 'the certificate cannot be parsed'
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) return 'the key does not belong to the certificate'
    if (!certificate.verify(certificate.publicKey)) return 'the certificate is not signed by itself'
  } catch {
    return 'the key cannot be parsed'
  }
  return { ...described, key: keyPem }
}
