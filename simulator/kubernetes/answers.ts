import type { ResourceType } from './resources.ts'

/** What the simulated API server sends back. */
export interface Answer {
  status: number
  /** Names in lower case. */
  headers: Record<string, string>
  body: string
  /** Texts of `Warning` headers, one header each. */
  warnings?: readonly string[]
  /** Instead of `body`: the lines of a watch as they come. The end of the iteration is a clean end of the body. */
  events?: AsyncIterable<string>
}

/** Ends the handling of a request with an answer, from wherever it is thrown. */
export class Refusal extends Error {
  constructor(
    readonly answer: Answer,
    message: string,
  ) {
    super(message)
    this.name = 'Refusal'
  }
}

export function json(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }
}

export function text(status: number, body: string): Answer {
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }
  return { status, headers, body }
}

/** A `Warning` header's value. */
export function warningHeader(warning: string): string {
  return `299 - "${warning.replace(/["\\]/g, '\\$&')}"`
}

export interface StatusBody {
  message: string
  code: number
  reason?: string
  details?: object
  metadata?: object
}

/** `kind: Status`, in the order in which the server writes its members. */
export function statusObject({ message, reason, details, code, metadata = {} }: StatusBody): Record<string, unknown> {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata,
    status: 'Failure',
    message,
    ...(reason !== undefined && { reason }),
    ...(details !== undefined && { details }),
    code,
  }
}

export function refuse(body: StatusBody, headers: Record<string, string> = {}): Refusal {
  return new Refusal(json(body.code, statusObject(body), headers), body.message)
}

/** What is wrong with one field, as `k8s.io/apimachinery` words it. */
export interface FieldError {
  reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueDuplicate'
    | 'FieldValueNotFound'
    | 'FieldValueForbidden'
    | 'FieldValueTooLong'
    | 'FieldValueNotSupported'
  field: string
  message: string
}

export const fieldErrors = {
  required: (field: string, detail?: string): FieldError => ({
    reason: 'FieldValueRequired',
    field,
    message: detail === undefined ? 'Required value' : `Required value: ${detail}`,
  }),
  invalid: (field: string, value: unknown, detail: string): FieldError => ({
    reason: 'FieldValueInvalid',
    field,
    message: `Invalid value: ${JSON.stringify(value)}: ${detail}`,
  }),
  duplicate: (field: string, value: unknown): FieldError => ({
    reason: 'FieldValueDuplicate',
    field,
    message: `Duplicate value: ${JSON.stringify(value)}`,
  }),
  notFound: (field: string, value: unknown): FieldError => ({
    reason: 'FieldValueNotFound',
    field,
    message: `Not found: ${JSON.stringify(value)}`,
  }),
  forbidden: (field: string, detail: string): FieldError => ({
    reason: 'FieldValueForbidden',
    field,
    message: `Forbidden: ${detail}`,
  }),
  tooLong: (field: string, maxBytes: number): FieldError => ({
    reason: 'FieldValueTooLong',
    field,
    message: `Too long: may not be more than ${maxBytes} bytes`,
  }),
  notSupported: (field: string, value: unknown, supported: readonly string[]): FieldError => ({
    reason: 'FieldValueNotSupported',
    field,
    message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported.map(word => `"${word}"`).join(', ')}`,
  }),
} as const

interface Named {
  group: string
  plural: string
}

function qualified(word: string, group: string): string {
  return group === '' ? word : `${word}.${group}`
}

function detailsOf({ group, plural }: Named, name?: string): object {
  return { ...(name !== undefined && { name }), ...(group !== '' && { group }), kind: plural }
}

export const refusals = {
  badRequest: (message: string) => refuse({ message, reason: 'BadRequest', code: 400 }),
  unauthorized: () => refuse({ message: 'Unauthorized', reason: 'Unauthorized', code: 401 }),
  notFound: (type: Named, name: string) =>
    refuse({
      message: `${qualified(type.plural, type.group)} "${name}" not found`,
      reason: 'NotFound',
      details: detailsOf(type, name),
      code: 404,
    }),
  noSuchResource: () =>
    refuse({
      message: 'the server could not find the requested resource',
      reason: 'NotFound',
      details: {},
      code: 404,
    }),
  methodNotAllowed: () =>
    refuse({
      message: 'the server does not allow this method on the requested resource',
      reason: 'MethodNotAllowed',
      details: {},
      code: 405,
    }),
  alreadyExists: (type: Named, name: string) =>
    refuse({
      message: `${qualified(type.plural, type.group)} "${name}" already exists`,
      reason: 'AlreadyExists',
      details: detailsOf(type, name),
      code: 409,
    }),
  modified: (type: Named, name: string) =>
    refuse({
      message: `Operation cannot be fulfilled on ${qualified(type.plural, type.group)} "${name}": the object has been modified; please apply your changes to the latest version and try again`,
      reason: 'Conflict',
      details: detailsOf(type, name),
      code: 409,
    }),
  precondition: (type: ResourceType, name: string, wanted: string, present: string) =>
    refuse({
      message: `Operation cannot be fulfilled on ${qualified(type.kind, type.group)} "${name}": the ResourceVersion in the precondition (${wanted}) does not match the ResourceVersion in record (${present}). The object might have been modified`,
      reason: 'Conflict',
      details: detailsOf({ group: type.group, plural: type.kind }, name),
      code: 409,
    }),
  /** `kind` as the message shows it: mostly the kind, for some checks the plural. */
  invalid: (type: { group: string; kind: string }, name: string, errors: readonly FieldError[]) => {
    const shown = errors.map(({ field, message }) => `${field}: ${message}`)
    const all = shown.length === 1 ? shown.join('') : `[${shown.join(', ')}]`
    return refuse({
      message: `${qualified(type.kind, type.group)} "${name}" is invalid: ${all}`,
      reason: 'Invalid',
      details: {
        ...(name !== '' && { name }),
        ...(type.group !== '' && { group: type.group }),
        ...(type.kind !== '' && { kind: type.kind }),
        causes: errors,
      },
      code: 422,
    })
  },
  /** A JSON patch that does not apply, a failing `test` included. */
  patchRejected: () =>
    refuse({
      message: 'the server rejected our request due to an error in our request',
      reason: 'Invalid',
      details: {},
      code: 422,
    }),
  forbiddenByAdmission: (type: Named, name: string | undefined, why: string) =>
    refuse({
      message: `${qualified(type.plural, type.group)}${name === undefined ? '' : ` "${name}"`} is forbidden: ${why}`,
      reason: 'Forbidden',
      details: detailsOf(type, name),
      code: 403,
    }),
  forbidden: (type: Named, name: string | undefined, why: string) =>
    refuse(
      {
        message: `${qualified(type.plural, type.group)}${name === undefined ? '' : ` "${name}"`} is forbidden: ${why}`,
        reason: 'Forbidden',
        details: detailsOf(type, name),
        code: 403,
      },
      { 'x-content-type-options': 'nosniff' },
    ),
  internal: (why: string) =>
    refuse({
      message: `Internal error occurred: ${why}`,
      reason: 'InternalError',
      details: { causes: [{ message: why }] },
      code: 500,
    }),
  tooLarge: (maxBytes: number) =>
    refuse({
      message: `Request entity too large: limit is ${maxBytes}`,
      reason: 'RequestEntityTooLarge',
      code: 413,
    }),
  otherNamespace: () =>
    refuse({
      message: 'the namespace of the provided object does not match the namespace sent on the request',
      reason: 'BadRequest',
      code: 400,
    }),
  unsupportedMedia: (message: string, details?: object) =>
    refuse({ message, reason: 'UnsupportedMediaType', ...(details && { details }), code: 415 }),
} as const
