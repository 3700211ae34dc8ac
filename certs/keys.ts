import { generateKeyPair, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'

const generate = promisify(generateKeyPair)

/** Makes a private key: PKCS#8 in PEM. */
export type GenerateKey = () => Promise<string>

/**
 * RSA with 2048 bits, the least that every client accepts, and RSA because node-forge builds certificates for nothing
 * else. Made in libuv's thread pool: the same work on the event loop would stall every admission for 50 to 300 ms.
 */
export const generateRsaKey: GenerateKey = async () => {
  const { privateKey } = await generate('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  return privateKey
}

/** A certificate's serial number in hex: 126 random bits, positive, in the shortest form that DER allows. */
export function randomSerial(): string {
  const bytes = randomBytes(16)
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0)
  return bytes.toString('hex')
}
