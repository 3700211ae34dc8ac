import { generateKeyPairSync, randomBytes } from 'node:crypto'
import forge from 'node-forge'

const DAY_MS = 24 * 60 * 60 * 1000

let made: { publicKey: string; privateKey: string } | undefined

/** One key for all servers of a process: RSA keys are slow to make, and nobody keeps a secret from a simulated server. */
function keyPair() {
  return (made ??= generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  }))
}

/** A self-signed certificate for loopback, which serves as its own authority. */
export function createLoopbackCertificate(nowMs: number): { certificatePem: string; keyPem: string } {
  const pair = keyPair()
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(pair.publicKey)
  // Positive, and without a leading zero byte, which OpenSSL refuses where the sign does not need it.
  certificate.serialNumber = `01${randomBytes(15).toString('hex')}`
  // The server's own clock may be far from the machine's, which is what clients check against.
  certificate.validity.notBefore = new Date(Math.min(nowMs, Date.UTC(2020, 0, 1)))
  certificate.validity.notAfter = new Date(nowMs + 36_500 * DAY_MS)
  const name = [{ name: 'commonName', value: 'simulated-kube-apiserver' }]
  certificate.setSubject(name)
  certificate.setIssuer(name)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, keyCertSign: true },
    { name: 'extKeyUsage', serverAuth: true },
    {
      name: 'subjectAltName',
      altNames: [
        { type: 2, value: 'localhost' },
        { type: 2, value: 'kubernetes.default.svc' },
        { type: 7, ip: '127.0.0.1' },
      ],
    },
  ])
  certificate.sign(forge.pki.privateKeyFromPem(pair.privateKey), forge.md.sha256.create())
  return { certificatePem: forge.pki.certificateToPem(certificate), keyPem: pair.privateKey }
}
