// For people and scripts alike: a line per test file as it ends, all about what failed or was skipped, and one closing line.
import { Transform } from 'node:stream'

export default class extends Transform {
  #rest = ''
  /** What the running file printed so far. */
  #block = []
  /** The diagnostics of a file that failed as a whole follow its result. */
  #passesOn = false
  #summary

  _transform(chunk, _encoding, done) {
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop()
    for (const line of lines) this.#take(line)
    done()
  }

  _flush(done) {
    this.#take(this.#rest)
    const counts = this.#summary
    if (counts === undefined) this.push('tap ended without a summary\n')
    else {
      const { pass = 0, fail = 0, skip = 0, todo = 0 } = counts
      this.push(`${pass} passed, ${fail} failed${skip + todo > 0 ? `, ${skip + todo} skipped` : ''}\n`)
    }
    done()
  }

  #take(line) {
    const result = /^(not )?ok \d+ - (.*?)(?: # time=([\d.]+)ms)?$/.exec(line)
    if (result) {
      const [, failed, name, ms] = result
      const { failures, skips } = read(this.#block)
      const time = ms === undefined ? '' : ` (${(ms / 1000).toFixed(1)} s)`
      this.push(`${failed ? 'FAILED' : 'ok    '} ${name}${time}\n`)
      for (const skip of skips) this.push(`       skipped: ${skip}\n`)
      for (const text of failures) this.push(`${text}\n`)
      this.#passesOn = Boolean(failed) && failures.length === 0
      if (this.#passesOn) for (const text of this.#block.slice(-20)) this.#push(text)
      this.#block = []
    } else if (line.startsWith('# {')) {
      this.#summary = Object.fromEntries(
        [...line.matchAll(/(\w+): (\d+)/g)].map(([, key, count]) => [key, Number(count)]),
      )
    } else if (line.startsWith('Bail out!')) {
      this.push(`${line}\n`)
    } else if (line.startsWith('# Subtest: ')) {
      this.#passesOn = false
      this.#block = []
    } else if (line.startsWith('  ') && this.#passesOn) {
      if (/^ *(exitCode|signal|expired|reason|error):/.test(line)) this.#push(line)
    } else {
      this.#block.push(line)
    }
  }

  #push(line) {
    if (line.trim() !== '') this.push(`       ${line.trimStart()}\n`)
  }
}

/** Failures with their path of subtests and their diagnostics, and the names of what was skipped. */
function read(lines) {
  const failures = []
  const skips = []
  const open = []
  let diagnostics
  for (const line of lines) {
    const indent = line.search(/\S|$/)
    const subtest = /^ *# Subtest: (.*)$/.exec(line)
    const result = /^ *(not )?ok \d+(?: - (.*?))?(?: # (time=|SKIP|TODO)(.*?))?(?: \{)?$/.exec(line)
    if (subtest) {
      diagnostics = undefined
      open.push({ name: subtest[1], indent, failures: failures.length })
    } else if (result) {
      const [, failed, name = '', directive, reason = ''] = result
      while (open.at(-1)?.indent > indent) open.pop()
      const closed = open.at(-1)?.indent === indent ? open.pop() : undefined
      const path = [...open.map(parent => parent.name), name].join(' > ')
      diagnostics = undefined
      if (directive === 'SKIP' || directive === 'TODO') {
        skips.push(reason.trim() === '' ? path : `${path}: ${reason.trim()}`)
      } else if (failed && (closed === undefined || closed.failures === failures.length)) {
        failures.push(`       ${path}`)
        diagnostics = indent
      }
    } else if (/^ *\.\.\.$/.test(line) && indent === diagnostics + 2) {
      diagnostics = undefined
    } else if (diagnostics !== undefined && !(/^ *---$/.test(line) && indent === diagnostics + 2)) {
      failures[failures.length - 1] += `\n       ${line.slice(diagnostics)}`
    }
  }
  return { failures, skips }
}
