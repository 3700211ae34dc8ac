import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { certificatesIn, describeCertificate, type Certificate } from './pem.ts'

/** What a TLS server presents, both in PEM: its certificate, followed by intermediate ones if any, and its private key. */
export interface ServingPair {
  certificate: string
  key: string
}

/** TLS 1.0 and 1.1 are deprecated (RFC 8996). */
export const TLS_MIN_VERSION = 'TLSv1.2'

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'

export interface PairRules {
  nowMs: number
  /** Each must be covered by the certificate's subjectAltName. */
  names?: readonly string[]
  /** PEM of the authorities that clients trust; the chain must end at one of them. Without: not asked. */
  authorities?: readonly string[]
}

export type PairVerdict = { good: true; leaf: Certificate } | { good: false; problem: string }

/**
 * Whether clients will accept this pair at `nowMs`, judged by OpenSSL through Node. The problem is for people, names the
 * rule that is broken, and never holds any part of the key.
 */
export function verifyPair(pair: ServingPair, { nowMs, names = [], authorities }: PairRules): PairVerdict {
  const chain = certificatesIn(pair.certificate).map(({ pem }) => new X509Certificate(pem))
  const [leaf] = chain
  if (leaf === undefined) return bad('holds no certificate that can be parsed')
  const key = parseKey(pair.key)
  if (key === undefined) return bad('the private key cannot be parsed')
  if (!leaf.checkPrivateKey(key)) return bad('the private key does not belong to the certificate')
  const described = describeCertificate(leaf)
  const problem =
    datesProblem(described, nowMs) ??
    namesProblem(leaf, names) ??
    chainProblem(chain, authorities) ??
    contextProblem(pair)
  return problem === undefined ? { good: true, leaf: described } : bad(problem)
}

function bad(problem: string): PairVerdict {
  return { good: false, problem }
}

function parseKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}

function datesProblem({ notBeforeMs, notAfterMs }: Certificate, nowMs: number): string | undefined {
  if (nowMs >= notAfterMs) return `the certificate expired at ${new Date(notAfterMs).toISOString()}`
  if (nowMs < notBeforeMs) return `the certificate is not valid before ${new Date(notBeforeMs).toISOString()}`
  return undefined
}

function namesProblem(leaf: X509Certificate, names: readonly string[]): string | undefined {
  if (leaf.subjectAltName === undefined)
    return 'the certificate has no subjectAltName, without which the API server refuses it'
  // Node types `keyUsage` as always there; without the extension it is undefined, and every use is allowed.
  const uses = leaf.keyUsage as string[] | undefined
  if (uses !== undefined && !uses.includes(SERVER_AUTH))
    return 'the certificate is not made for servers (extendedKeyUsage)'
  const missing = names.filter(name => leaf.checkHost(name) === undefined)
  return missing.length === 0 ? undefined : `the certificate does not cover ${missing.join(', ')}`
}

function chainProblem(
  chain: readonly X509Certificate[],
  authorities: readonly string[] | undefined,
): string | undefined {
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1]
    if (issuer !== undefined && !isIssuedBy(certificate, issuer))
      return `certificate ${index + 1} of the chain is not issued by the one that follows it`
  }
  const last = chain.at(-1)
  if (authorities === undefined || last === undefined) return undefined
  const trusted = authorities.flatMap(certificatesIn).map(({ pem }) => new X509Certificate(pem))
  return trusted.some(root => root.fingerprint256 === last.fingerprint256 || isIssuedBy(last, root))
    ? undefined
    : 'the certificate is not issued by a trusted authority'
}

/** Names and key identifiers first, as they cost nothing, then the signature. */
function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

/** OpenSSL refuses keys and signatures below its security level only here. */
function contextProblem({ certificate, key }: ServingPair): string | undefined {
  try {
    createSecureContext({ cert: certificate, key, minVersion: TLS_MIN_VERSION })
    return undefined
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
    return `OpenSSL refuses the pair (${code})`
  }
}
