/** An answer does not have the shape that GitLab documents. Names the place, never the value. */
export class ShapeError extends Error {
  constructor(path: string, expected: string) {
    super(`${path} should be ${expected}`)
    this.name = 'ShapeError'
  }
}

/** A value from outside and the path that leads to it. Every read checks the type and throws ShapeError when it is wrong. */
export class Json {
  readonly #value: unknown
  readonly #path: string

  constructor(value: unknown, path = 'the answer') {
    this.#value = value
    this.#path = path
  }

  get isNull(): boolean {
    return this.#value === null
  }

  get isMissing(): boolean {
    return this.#value === undefined
  }

  get(name: string): Json {
    const value = this.#value
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.#wrong('an object')
    const member: unknown = Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined
    return new Json(member, `${this.#path}.${name}`)
  }

  items(): Json[] {
    if (!Array.isArray(this.#value)) throw this.#wrong('an array')
    return this.#value.map((item: unknown, index) => new Json(item, `${this.#path}[${index}]`))
  }

  string(): string {
    if (typeof this.#value !== 'string') throw this.#wrong('a string')
    return this.#value
  }

  boolean(): boolean {
    if (typeof this.#value !== 'boolean') throw this.#wrong('true or false')
    return this.#value
  }

  integer(): number {
    if (typeof this.#value !== 'number' || !Number.isSafeInteger(this.#value)) throw this.#wrong('an integer')
    return this.#value
  }

  /** Milliseconds since 1970 of an ISO 8601 time. */
  timeMs(): number {
    const ms = Date.parse(this.string())
    if (Number.isNaN(ms)) throw this.#wrong('a time')
    return ms
  }

  oneOf<T extends string>(words: readonly T[]): T {
    const word = words.find(word => word === this.#value)
    if (word === undefined) throw this.#wrong(`one of ${words.join(', ')}`)
    return word
  }

  /** Null stays null; a member that is missing is still wrong. */
  nullable<T>(read: (json: Json) => T): T | null {
    return this.isNull ? null : read(this)
  }

  #wrong(expected: string): ShapeError {
    return new ShapeError(this.#path, this.isMissing ? `${expected}, but is missing` : expected)
  }
}
