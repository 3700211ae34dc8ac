import type { Clock } from '../../lib/service/clock.ts'
import type { Paint } from './picture.ts'

/** What the screen writes to; a terminal also gets a table that is redrawn in place. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
}

/**
 * A story in lines with a live table below it. On a terminal the table is redrawn where it stands; elsewhere it is
 * printed only when asked for, so that a log stays readable.
 */
export class Screen {
  readonly #output: Output
  readonly #clock: Clock
  readonly #startMs: number
  readonly #paint: Paint
  #drawn = 0
  #table: readonly string[] = []

  constructor(output: Output, clock: Clock, paint: Paint) {
    this.#output = output
    this.#clock = clock
    this.#startMs = clock.monotonicMs()
    this.#paint = paint
  }

  get live(): boolean {
    return this.#output.isTTY === true
  }

  /** A line of the story with the seconds since the start. */
  tell(text: string): void {
    const seconds = ((this.#clock.monotonicMs() - this.#startMs) / 1000).toFixed(1).padStart(6)
    this.line(`${this.#paint('dim', `${seconds} s`)}  ${text}`)
  }

  /** A line as it is. */
  line(text: string): void {
    this.#erase()
    this.#output.write(`${text}\n`)
    this.#draw()
  }

  /** Puts a new table under the story. */
  show(table: readonly string[]): void {
    this.#table = table
    if (!this.live) return
    this.#erase()
    this.#draw()
  }

  /** Leaves the present table where it is, as a part of the story. */
  keep(): void {
    this.#erase()
    for (const line of ['', ...this.#table, '']) this.#output.write(`${line}\n`)
  }

  /** Takes the table away; nothing is drawn any more until the next `show`. */
  end(): void {
    this.#erase()
    this.#table = []
  }

  #erase(): void {
    if (this.#drawn > 0) this.#output.write(`\u001b[${this.#drawn}A\u001b[J`)
    this.#drawn = 0
  }

  #draw(): void {
    if (!this.live || this.#table.length === 0) return
    this.#output.write(`\n${this.#table.join('\n')}\n`)
    this.#drawn = this.#table.length + 1
  }
}
