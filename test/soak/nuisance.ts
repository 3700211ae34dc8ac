import { connect } from 'node:tls'
import { systemClock, type Random } from '../../lib/service/clock.ts'
import type { Endpoint } from '../bench/webhook/load/connection.ts'

const EVERY_MS = 500
const LONGEST_MS = 5000

/** Clients as no API server is one: each opens a connection and leaves it in another bad way. */
export class Nuisance {
  count = 0
  readonly #endpoint: Endpoint
  readonly #random: Random

  constructor(endpoint: Endpoint, random: Random) {
    this.#endpoint = endpoint
    this.#random = random
  }

  /** Rejects when `signal` aborts, with its reason. */
  async run(signal: AbortSignal): Promise<never> {
    const head = `POST ${this.#endpoint.path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`
    const texts = [
      `${head}content-length: 5000\r\n\r\n{"kind":"AdmissionReview"`,
      `${head}content-length: 3\r\n\r\n{{{`,
      `${head}content-length: 99999999\r\n\r\n`,
      'GET / HTTP/1.1\r\n\r\n',
      '\u0000\u0001\u0002',
      '',
    ]
    for (;;) {
      await this.#bother(texts[Math.floor(this.#random() * texts.length)] ?? '')
      this.count++
      await systemClock.sleep(EVERY_MS * this.#random(), signal)
    }
  }

  /** Sends `text`, waits for whatever comes, and breaks the connection. */
  async #bother(text: string): Promise<void> {
    const { port, ca } = this.#endpoint
    const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost' }, () => {
      socket.write(text)
      socket.setTimeout(100)
    })
    await new Promise<void>(resolve => {
      const cancel = systemClock.after(LONGEST_MS, () => socket.destroy())
      socket.on('timeout', () => socket.destroy())
      socket.on('data', () => socket.destroy())
      socket.on('error', () => undefined)
      socket.on('close', () => {
        cancel()
        resolve()
      })
    })
  }
}
