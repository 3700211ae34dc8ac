import { connect } from 'node:tls'
import type { ShakeHands } from './context.ts'

/** Trusts `ca` alone, as an API server does; rejects where there is no TLS server. */
export const shakeHands: ShakeHands = ({ host, port, servername, ca }, signal) =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, servername, ca, rejectUnauthorized: false })
    const onAbort = () => socket.destroy(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('close', () => signal.removeEventListener('abort', onAbort))
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      // Node types the error as an Error; it is the code's text.
      const problem = socket.authorized ? undefined : String(socket.authorizationError)
      socket.destroy()
      resolve(problem)
    })
  })
