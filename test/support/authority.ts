import { generateKeyPairSync, randomBytes } from 'node:crypto'
import forge from 'node-forge'

const DAY_MS = 24 * 60 * 60 * 1000

export interface TestLeaf {
  certPem: string
  keyPem: string
}

export interface TestAuthority {
  certPem: string
  issue(leaf: { names?: readonly string[]; fromMs?: number; untilMs?: number }): TestLeaf
}

// One key for all: what tests look at is the chain and the names, and RSA keys are slow to make.
const pair = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})

/** A certificate authority for tests. `names` are DNS names; an IPv4 address is recognised. */
export function createTestAuthority(commonName: string): TestAuthority {
  const issuer = [{ name: 'commonName', value: commonName }]
  const privateKey = forge.pki.privateKeyFromPem(pair.privateKey)
  const make = (subject: string, fromMs: number, untilMs: number, extensions: object[]) => {
    const certificate = forge.pki.createCertificate()
    certificate.publicKey = forge.pki.publicKeyFromPem(pair.publicKey)
    certificate.serialNumber = `01${randomBytes(15).toString('hex')}`
    certificate.validity.notBefore = new Date(fromMs)
    certificate.validity.notAfter = new Date(untilMs)
    certificate.setSubject([{ name: 'commonName', value: subject }])
    certificate.setIssuer(issuer)
    certificate.setExtensions(extensions)
    certificate.sign(privateKey, forge.md.sha256.create())
    return forge.pki.certificateToPem(certificate)
  }
  const nowMs = Date.now()
  return {
    certPem: make(commonName, nowMs - DAY_MS, nowMs + 365 * DAY_MS, [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true },
    ]),
    issue: ({ names = [], fromMs = nowMs - DAY_MS, untilMs = nowMs + DAY_MS }) => {
      const altNames = names.map(name => (/^[\d.]+$/.test(name) ? { type: 7, ip: name } : { type: 2, value: name }))
      const extensions = [
        { name: 'extKeyUsage', serverAuth: true },
        ...(altNames.length > 0 ? [{ name: 'subjectAltName', altNames }] : []),
      ]
      return { certPem: make('localhost', fromMs, untilMs, extensions), keyPem: pair.privateKey }
    },
  }
}
