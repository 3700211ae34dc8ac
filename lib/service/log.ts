import { pino, type DestinationStream } from 'pino'

/** The part of pino that the programs use: fields first, then one plain sentence. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Fields that may carry a secret, at the top of a log object or one level down. */
const SECRET_FIELDS = ['token', 'privateToken', 'authorization', 'password', 'secret', 'PRIVATE-TOKEN', 'Authorization']
const SECRETS: ReadonlySet<string> = new Set(SECRET_FIELDS)

const GATHERING_MS = 10
/** When nobody reads them, lines are lost rather than memory. */
const MAX_UNREAD_LENGTH = 4 * 1024 * 1024

/**
 * JSON lines on standard output (or at once to `destination`), one per event: `level` as a word, `time` in ISO 8601, `program`.
 * Secret-looking fields are replaced, so that a careless caller cannot leak one.
 */
export function createLog(program: string, level: LogLevel = 'info', destination?: DestinationStream): Log {
  const options = {
    level,
    base: { program },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const redact = {
    paths: SECRET_FIELDS.flatMap(field => [`["${field}"]`, `*["${field}"]`]),
    censor: '[redacted]',
  }
  const output = destination ?? gathering(pino.destination({ dest: 1, maxLength: MAX_UNREAD_LENGTH }))
  const plain = pino(options, output)
  // Redacting costs more than the rest of a line, and hardly any line has what it looks for.
  const careful = pino({ ...options, redact }, output)
  const writerFor = (fields: object) => (mayHoldSecret(fields) ? careful : plain)
  return {
    debug: (fields, message) => {
      if (plain.isLevelEnabled('debug')) writerFor(fields).debug(fields, message)
    },
    info: (fields, message) => writerFor(fields).info(fields, message),
    warn: (fields, message) => writerFor(fields).warn(fields, message),
    error: (fields, message) => writerFor(fields).error(fields, message),
  }
}

/** Writes lines some milliseconds later, or when the process exits: a write costs more than all else about a line. */
function gathering(output: DestinationStream): DestinationStream {
  let pending = ''
  const flush = () => {
    const lines = pending
    pending = ''
    if (lines !== '') output.write(lines)
  }
  // Before pino's own listener, which writes what was handed over so far.
  process.prependOnceListener('exit', flush)
  return {
    write: line => {
      if (pending === '') setTimeout(flush, GATHERING_MS)
      pending += line
    },
  }
}

function mayHoldSecret(fields: object): boolean {
  return Object.entries(fields).some(
    ([name, value]: [string, unknown]) => SECRETS.has(name) || (isObject(value) && holdsOne(value)),
  )
}

function holdsOne(value: object): boolean {
  return Object.keys(value).some(name => SECRETS.has(name))
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** A log that keeps nothing; for callers that were given none. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}
