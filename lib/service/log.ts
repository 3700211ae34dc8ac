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

/**
 * JSON lines on standard output (or `destination`), one per event: `level` as a word, `time` in ISO 8601, `program`.
 * Secret-looking fields are replaced, so that a careless caller cannot leak one.
 */
export function createLog(program: string, level: LogLevel = 'info', destination?: DestinationStream): Log {
  const options = {
    level,
    base: { program },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: SECRET_FIELDS.flatMap(field => [`["${field}"]`, `*["${field}"]`]),
      censor: '[redacted]',
    },
  }
  return destination ? pino(options, destination) : pino(options)
}

/** A log that keeps nothing; for callers that were given none. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}
