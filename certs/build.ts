import { createPublicKey, sign } from 'node:crypto'
import forge from 'node-forge'

/** Clocks of API servers may be this much behind; kube-controller-manager backdates its certificates as much. */
export const BACKDATE_MS = 5 * 60_000

const ORGANIZATION = 'gitlab-runner-hadr'

interface Validity {
  /** Cut to whole seconds, which is all that a certificate can say. */
  notBeforeMs: number
  notAfterMs: number
}

export interface AuthorityRequest extends Validity {
  /** Private key, PKCS#8 in PEM. */
  key: string
  /** Hex, positive, never used before; also part of the subject's name, so that no two authorities share one. */
  serial: string
}

export interface LeafRequest extends Validity {
  key: string
  serial: string
  /** DNS names, at least one. */
  names: readonly string[]
  issuer: { certificate: string; key: string }
}

/** The four names under which a cluster's clients know a Service; the API server asks for the third. */
export function serviceNames(service: string, namespace: string, clusterDomain = 'cluster.local'): string[] {
  const name = `${service}.${namespace}`
  return [service, name, `${name}.svc`, `${name}.svc.${clusterDomain}`]
}

/** A self-signed authority, in PEM, that may sign leaves and nothing else (RFC 5280: pathlen 0, keyCertSign, cRLSign). */
export function buildAuthority({ key, serial, notBeforeMs, notAfterMs }: AuthorityRequest): string {
  const certificate = blank(key, serial, { notBeforeMs, notAfterMs })
  const name = distinguishedName(`webhook authority ${serial.slice(0, 12)}`)
  certificate.setSubject(name)
  certificate.setIssuer(name)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: keyIdentifier(certificate.publicKey) },
  ])
  return signed(certificate, key)
}

/** A server's certificate in PEM for `names`, signed by `issuer`. */
export function buildLeaf({ key, serial, names, issuer, notBeforeMs, notAfterMs }: LeafRequest): string {
  const authority = forge.pki.certificateFromPem(issuer.certificate)
  const certificate = blank(key, serial, { notBeforeMs, notAfterMs })
  // A common name ends at 64 characters, which a Service's name may pass; clients read the subjectAltName alone.
  certificate.setSubject(distinguishedName('webhook'))
  certificate.setIssuer(authority.subject.attributes)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectAltName', altNames: names.map(value => ({ type: DNS_NAME, value })) },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: keyIdentifier(authority.publicKey) },
  ])
  return signed(certificate, issuer.key)
}

/** GeneralName's tag for dNSName (RFC 5280, 4.2.1.6). */
const DNS_NAME = 2

function blank(key: string, serial: string, { notBeforeMs, notAfterMs }: Validity): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate()
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString()
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey)
  certificate.serialNumber = serial
  certificate.validity.notBefore = wholeSeconds(notBeforeMs)
  certificate.validity.notAfter = wholeSeconds(notAfterMs)
  return certificate
}

function wholeSeconds(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000)
}

function distinguishedName(commonName: string): forge.pki.CertificateField[] {
  return [
    { name: 'organizationName', value: ORGANIZATION },
    { name: 'commonName', value: `${ORGANIZATION} ${commonName}` },
  ]
}

function keyIdentifier(publicKey: forge.pki.PublicKey): string {
  return forge.pki.getPublicKeyFingerprint(publicKey).getBytes()
}

/**
 * Forge lays the certificate out and OpenSSL computes the signature over it: forge's own arithmetic takes 25 to 60 ms of
 * the event loop for one.
 */
function signed(certificate: forge.pki.Certificate, key: string): string {
  const signer = Object.assign(forge.pki.privateKeyFromPem(key), {
    sign: () => {
      const toSign = forge.asn1.toDer(certificate.tbsCertificate).getBytes()
      return sign('sha256', Buffer.from(toSign, 'latin1'), key).toString('latin1')
    },
  })
  certificate.sign(signer, forge.md.sha256.create())
  return forge.pki.certificateToPem(certificate).replaceAll('\r\n', '\n')
}
