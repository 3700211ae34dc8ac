import { connect, type TLSSocket } from 'node:tls'

export interface Endpoint {
  port: number
  ca: string
  path: string
}

export interface Answer {
  status: number
  body: Buffer
}

const HEADERS_END = Buffer.from('\r\n\r\n')

/**
 * One kept-alive TLS connection that sends the same request again and again and reads whole answers. It knows only what
 * the servers under test send, an answer with a length, so that it costs the machine less than they do.
 */
export class Connection {
  readonly #socket: TLSSocket
  readonly #request: Buffer
  #pending: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined
  #received: Buffer[] = []
  #length = 0
  /** Bytes of the answer, headers included; unknown until these are here. */
  #wanted = Infinity
  #headersLength = 0
  #status = 0

  private constructor(socket: TLSSocket, request: Buffer) {
    this.#socket = socket
    this.#request = request
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error: Error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the server closed the connection')))
  }

  static async open({ port, ca, path }: Endpoint, body: Buffer): Promise<Connection> {
    const head = [
      `POST ${path} HTTP/1.1`,
      `host: localhost:${port}`,
      'content-type: application/json',
      `content-length: ${body.length}`,
    ].join('\r\n')
    const request = Buffer.concat([Buffer.from(`${head}\r\n\r\n`), body])
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost' }, () => {
        socket.off('error', reject)
        resolve(new Connection(socket, request))
      })
      socket.once('error', reject)
    })
  }

  /** Sends the request once more; not while one is on its way. Rejects when the connection breaks. */
  exchange(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#socket.write(this.#request)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#received.push(chunk)
    this.#length += chunk.length
    if (this.#wanted === Infinity) this.#readHeaders()
    if (this.#length < this.#wanted) return
    const body = Buffer.concat(this.#received).subarray(this.#headersLength)
    const answer = { status: this.#status, body }
    this.#received = []
    this.#length = 0
    this.#wanted = Infinity
    const { resolve } = this.#pending ?? {}
    this.#pending = undefined
    resolve?.(answer)
  }

  #readHeaders(): void {
    const [first, ...others] = this.#received
    if (first === undefined) return
    const head = others.length === 0 ? first : Buffer.concat(this.#received)
    const end = head.indexOf(HEADERS_END)
    if (end < 0) return
    const text = head.toString('latin1', 0, end)
    const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1]
    if (length === undefined) {
      this.#socket.destroy(new Error('an answer without a length'))
      return
    }
    this.#status = Number(text.slice(9, 12))
    this.#headersLength = end + HEADERS_END.length
    this.#wanted = this.#headersLength + Number(length)
  }

  #fail(error: Error): void {
    const { reject } = this.#pending ?? {}
    this.#pending = undefined
    reject?.(error)
  }
}
