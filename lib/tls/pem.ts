import { X509Certificate } from 'node:crypto'

const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+?-----END CERTIFICATE-----/g

/** One certificate with what the programs ask of it; the times are milliseconds since 1970. */
export interface Certificate {
  /** One block with LF line ends and one at its end, whatever came before it in its file. */
  pem: string
  /** SHA-256 over the whole certificate: its identity. */
  fingerprint: string
  notBeforeMs: number
  notAfterMs: number
}

/**
 * The certificates in a PEM text, in their order. Text around the blocks and blocks that are no certificate are passed
 * over, as the API server and OpenSSL do, so that one broken block does not take the good ones with it.
 */
export function certificatesIn(text: string): Certificate[] {
  return (text.match(BLOCK) ?? []).flatMap(block => {
    const parsed = parseCertificate(block)
    return parsed === undefined ? [] : [describeCertificate(parsed)]
  })
}

/** The first certificate of a PEM text; undefined when there is none that can be parsed. */
export function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

export function describeCertificate(certificate: X509Certificate): Certificate {
  return {
    pem: `${certificate.toString().trim().replaceAll('\r\n', '\n')}\n`,
    fingerprint: certificate.fingerprint256,
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
  }
}
