import { DecodeError } from './kind.ts'

const SYNTAX = /^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$/
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']
const DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E']
/** Place of the empty suffix in DECIMAL: each step is a factor of a thousand. */
const UNIT = 3

interface Quantity {
  amount: number
  binary: boolean
}

function parse(value: unknown): Quantity {
  const text = typeof value === 'number' ? String(value) : value
  const [, digits, suffix = ''] = typeof text === 'string' ? (SYNTAX.exec(text) ?? []) : []
  const binaryStep = BINARY.indexOf(suffix)
  const decimalStep = DECIMAL.indexOf(suffix)
  const exponent = /^[eE]([-+]?\d+)$/.exec(suffix)?.[1]
  const known = binaryStep >= 0 || decimalStep >= 0 || exponent !== undefined
  if (digits === undefined || !known || Number.isNaN(Number(digits))) {
    throw new DecodeError(`quantities must match the regular expression '${SYNTAX.source}'`)
  }
  if (binaryStep > 0) return { amount: Number(digits) * 1024 ** binaryStep, binary: true }
  const factor = exponent === undefined ? 1000 ** (decimalStep - UNIT) : 10 ** Number(exponent)
  return { amount: Number(digits) * factor, binary: false }
}

/** The amount in base units: bytes, cores. */
export function quantityAmount(value: unknown): number {
  return parse(value).amount
}

/** The shortest form, as the server stores it: `1024Mi` is `1Gi`, `1.0` is `1`, `0.5` is `500m`. */
export function normalQuantity(value: unknown): string {
  const { amount, binary } = parse(value)
  if (amount === 0) return '0'
  if (binary && Number.isInteger(amount)) {
    let rest = amount
    let step = 0
    while (rest % 1024 === 0 && step < BINARY.length - 1) {
      rest /= 1024
      step++
    }
    return `${rest}${BINARY[step] ?? ''}`
  }
  let rest = amount
  let step = UNIT
  while (!Number.isInteger(rest) && step > 0) {
    rest = Number((rest * 1000).toPrecision(15))
    step--
  }
  while (Number.isInteger(rest) && rest % 1000 === 0 && step < DECIMAL.length - 1) {
    rest /= 1000
    step++
  }
  return `${rest}${DECIMAL[step] ?? ''}`
}
