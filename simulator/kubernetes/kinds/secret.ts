import { fieldErrors, type FieldError } from '../answers.ts'
import { asRecord, asString, base64Problem, dropEmpty, same, setDefault, type KubeObject } from '../values.ts'
import { DecodeError, type Kind } from './kind.ts'

const MAX_BYTES = 1024 * 1024
const KEY =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"

export const secret: Kind = {
  unconditionalUpdate: true,
  createOnUpdate: false,
  countsGenerations: false,
  decode: object => {
    const data: KubeObject = { ...asRecord(object['data']) }
    for (const value of Object.values(data)) {
      const problem = base64Problem(asString(value) ?? '')
      if (problem !== undefined) throw new DecodeError(problem)
    }
    for (const [key, value] of Object.entries(asRecord(object['stringData']) ?? {})) {
      data[key] = Buffer.from(asString(value) ?? '').toString('base64')
    }
    Reflect.deleteProperty(object, 'stringData')
    object['data'] = data
    dropEmpty(object, ['data'])
    setDefault(object, 'type', 'Opaque')
  },
  validate: (object, old) => [
    ...keyErrors(object),
    ...sizeErrors(object),
    ...typeErrors(object),
    ...changes(object, old),
  ],
  // The server only looks whether there is any PEM block.
  warnings: object =>
    object['type'] === 'kubernetes.io/tls' && !decoded(object, 'tls.crt').includes('-----BEGIN ')
      ? ['tls: failed to find any PEM data in certificate input']
      : [],
}

function dataOf(object: KubeObject): KubeObject {
  return asRecord(object['data']) ?? {}
}

function decoded(object: KubeObject, key: string): string {
  return Buffer.from(asString(dataOf(object)[key]) ?? '', 'base64').toString('utf8')
}

function keyErrors(object: KubeObject): FieldError[] {
  return Object.keys(dataOf(object))
    .filter(key => !/^[-._a-zA-Z0-9]+$/.test(key))
    .map(key => fieldErrors.invalid(`data[${key}]`, key, KEY))
}

function sizeErrors(object: KubeObject): FieldError[] {
  const bytes = Object.values(dataOf(object)).map(value => Buffer.from(asString(value) ?? '', 'base64').length)
  return bytes.reduce((sum, each) => sum + each, 0) > MAX_BYTES ? [fieldErrors.tooLong('data', MAX_BYTES)] : []
}

function typeErrors(object: KubeObject): FieldError[] {
  if (object['type'] !== 'kubernetes.io/tls') return []
  const data = dataOf(object)
  return ['tls.crt', 'tls.key']
    .filter(key => !Object.hasOwn(data, key))
    .map(key => fieldErrors.required(`data[${key}]`))
}

function changes(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  if (!old) return []
  return [
    ...(object['type'] === old['type'] ? [] : [fieldErrors.invalid('type', object['type'], 'field is immutable')]),
    ...(old['immutable'] === true && !same(object['data'], old['data'])
      ? [fieldErrors.forbidden('data', 'field is immutable when `immutable` is set')]
      : []),
    ...(old['immutable'] === true && object['immutable'] !== true
      ? [fieldErrors.forbidden('immutable', 'field is immutable when `immutable` is set')]
      : []),
  ]
}
