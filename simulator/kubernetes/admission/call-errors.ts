import { asRecord, asString } from '../values.ts'

const UNTRUSTED = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
])

/** A failed exchange as Go would word it. */
export function goErrorOf(error: unknown): string {
  const { code, message, cert, address, port, syscall } = fieldsOf(error)
  const x509 = (why: string) => `tls: failed to verify certificate: x509: ${why}`
  if (message.startsWith('x509: ')) return `tls: failed to verify certificate: ${message}`
  if (code !== undefined && UNTRUSTED.has(code)) return x509('certificate signed by unknown authority')
  switch (code) {
    case 'ECONNREFUSED':
      return `dial tcp ${address}:${port}: connect: connection refused`
    case 'ERR_TLS_CERT_ALTNAME_INVALID': {
      const names = (asString(cert?.['subjectaltname']) ?? '').replace(/(DNS|IP Address):/g, '')
      return x509(`certificate is valid for ${names}, not ${/Host: (\S+)\. /.exec(message)?.[1] ?? ''}`)
    }
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return x509('certificate has expired or is not yet valid')
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return 'http: server gave HTTP response to HTTPS client'
    case 'ECONNRESET':
      return syscall === 'read' ? 'read: connection reset by peer' : 'EOF'
    default:
      return message
  }
}

function fieldsOf(error: unknown) {
  const fields = typeof error === 'object' && error !== null ? { ...error } : {}
  const read = (name: string): unknown => Reflect.get(fields, name)
  return {
    message: error instanceof Error ? error.message : '',
    code: asString(read('code')),
    syscall: asString(read('syscall')),
    address: asString(read('address')) ?? '',
    port: Number(read('port') ?? 0),
    cert: asRecord(read('cert')),
  }
}

const PROBLEMS: Readonly<Record<number, string>> = {
  400: 'the server rejected our request for an unknown reason',
  401: 'the server has asked for the client to provide credentials',
  404: 'the server could not find the requested resource',
  405: 'the server does not allow this method on the requested resource',
  409: 'the server reported a conflict',
  415: 'unknown',
  429: 'the server has received too many requests and has asked us to try again later',
  503: 'the server is currently unable to handle the request',
  504: 'the server was unable to return a response in the time allotted, but may still be processing the request',
}

/** What the server's client makes of an answer that is no success. */
export function statusProblem(status: number, contentType: string, body: string): string {
  const said = statusMessage(body)
  if (said !== undefined) return said
  if (status === 500) {
    const shown = contentType.startsWith('text/') ? body : 'unknown'
    return `an error on the server (${JSON.stringify(shown)}) has prevented the request from succeeding`
  }
  return PROBLEMS[status] ?? `the server responded with the status code ${status} but did not return more information`
}

function statusMessage(body: string): string | undefined {
  try {
    const status = asRecord(JSON.parse(body))
    return status?.['kind'] === 'Status' ? asString(status['message']) : undefined
  } catch {
    return undefined
  }
}
