// Prints tap's stream as it comes, and one plain closing line that scripts and people can read.
import { Transform } from 'node:stream'

export default class extends Transform {
  #tail = ''

  _transform(chunk, _encoding, done) {
    this.#tail = (this.#tail + chunk).slice(-600)
    done(null, chunk)
  }

  _flush(done) {
    const counts =
      /# \{ total: \d+(?:, pass: (\d+))?(?:, fail: (\d+))?[^}]*?(?:, skip: (\d+))?[^}]*\}\s*(?:# time=\S+\s*)?$/.exec(
        this.#tail,
      )
    const [, passed = '0', failed = '0', skipped = '0'] = counts ?? []
    done(null, counts ? `${passed} passed, ${failed} failed, ${skipped} skipped\n` : '')
  }
}
