import type { FieldError } from '../answers.ts'
import type { KubeObject } from '../values.ts'

/** A body that cannot be read as its kind: 400 where it was sent whole, 422 where a patch made it so. */
export class DecodeError extends Error {}

export interface Validation {
  errors: FieldError[]
  /** The object's kind in the message of a refusal; the resource's own unless a check says otherwise. */
  shownKind?: string
}

/** What is particular to a kind of object. Every function may change the object it is given. */
export interface Kind {
  /** A PUT without resourceVersion is accepted. */
  unconditionalUpdate: boolean
  /** A PUT of an object that does not exist creates it. */
  createOnUpdate: boolean
  /** `metadata.generation` counts changes of everything but metadata and status. */
  countsGenerations: boolean
  /** Checks types, normalises, fills in defaults. Throws DecodeError. */
  decode(object: KubeObject): void
  validate(object: KubeObject, old: KubeObject | undefined): FieldError[]
  /** Warnings for the client, of a write that passed. */
  warnings?(object: KubeObject): string[]
}
