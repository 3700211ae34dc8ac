import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { performance } from 'node:perf_hooks'
import { Script } from 'node:vm'

const BUNDLE = '.mutation/tests.cjs'
/** Stryker's calls that count what is reached, and those that ask which mutant is active: most of a run's time. */
const COUNTING = /stryCov_9fa48\d*\((?:"\d+"(?:, )?)+\)/g
const ASKING = /stryMutAct_9fa48\d*\("(\d+)"\)/g
const require = createRequire(import.meta.url)

/**
 * A runner of Stryker's for the real tap in one warm process. A test is a top-level test of a file, or one of the tests
 * right within it. Which mutants each test reaches is learnt once; a mutant then meets the tests that reach it until one
 * fails: the one that noticed the mutant before, which was near, and then the quickest first. The bundle is evaluated
 * anew for each mutant, so none leaves anything behind in a module.
 */
class TapRunner {
  #Test
  #source
  /** Top-level tests of the bundle as it was evaluated last. */
  #tests = []
  #tookMs = new Map()
  #lastKiller

  capabilities() {
    return { reloadEnvironment: true }
  }

  async init() {
    this.#Test = await loadTap()
    this.#source = await readFile(BUNDLE, 'utf8')
  }

  async dryRun() {
    this.#evaluate(this.#source.replace(COUNTING, '0'))
    const ids = await this.#allIds()
    globalThis.__stryker__ = {}
    this.#evaluate(this.#source)
    const tests = []
    for (const id of ids) {
      globalThis.__stryker__.currentTestId = id
      const failureMessage = await this.#failureOf(id)
      const status = failureMessage === undefined ? 0 : 1
      tests.push({ id, name: id, timeSpentMs: Math.ceil(this.#tookMs.get(id)), status, failureMessage })
    }
    return { status: 'complete', tests, mutantCoverage: globalThis.__stryker__.mutantCoverage }
  }

  async mutantRun({ activeMutant, testFilter, hitLimit }) {
    globalThis.__stryker__ = { activeMutant: activeMutant.id, hitCount: 0, hitLimit }
    const ask = (call, id) => (id === activeMutant.id ? call : 'false')
    try {
      this.#evaluate(this.#source.replace(COUNTING, '0').replace(ASKING, ask))
    } catch (error) {
      return { status: 'killed', killedBy: [], failureMessage: String(error), nrOfTests: 0 }
    }
    const ids = [...(testFilter ?? (await this.#allIds()))].sort((a, b) => this.#cost(a) - this.#cost(b))
    for (const [index, id] of ids.entries()) {
      globalThis.__stryker__.hitCount = 0
      const failureMessage = await this.#failureOf(id)
      if (globalThis.__stryker__.hitCount > hitLimit) return { status: 'timeout', reason: 'it runs in circles' }
      if (failureMessage === undefined) continue
      this.#lastKiller = id
      return { status: 'killed', killedBy: [id], failureMessage, nrOfTests: index + 1 }
    }
    return { status: 'survived', nrOfTests: ids.length }
  }

  #cost(id) {
    return id === this.#lastKiller ? -1 : (this.#tookMs.get(id) ?? 0)
  }

  #evaluate(source) {
    this.#tests = []
    const tap = { test: (name, body) => void this.#tests.push({ name, body }) }
    const script = new Script(`(require, moduleUrl) => {${source}\n}`, { filename: BUNDLE })
    script.runInThisContext()(name => (name === 'tap' ? tap : require(name)), import.meta.url)
  }

  /** An id is `[name]` or `[name, name within]` in JSON. Learnt by running everything once. */
  async #allIds() {
    const ids = new Set()
    for (const test of this.#tests) {
      const within = []
      await this.#run(test, name => within.push(name))
      for (const name of within) ids.add(JSON.stringify([test.name, name]))
      if (within.length === 0) ids.add(JSON.stringify([test.name]))
    }
    return ids
  }

  /** Runs one test to its first failure; undefined: it passed. */
  async #failureOf(id) {
    const fromMs = performance.now()
    const [top, within] = JSON.parse(id)
    for (const test of this.#tests.filter(({ name }) => name === top)) {
      const failure = await this.#run(test, name => within === undefined || name === within)
      if (failure !== undefined) return failure
    }
    this.#tookMs.set(id, performance.now() - fromMs)
    return undefined
  }

  async #run({ name, body }, isWanted) {
    const root = new this.#Test({ name: 'mutant', bail: true })
    const ended = new Promise(resolve => root.once('end', resolve))
    let output = ''
    root.on('data', data => (output += data))
    try {
      root.test(name, t => {
        const test = t.test.bind(t)
        t.test = (name, body) => isWanted(name) && test(name, body)
        return body(t)
      })
    } catch (error) {
      // Tap throws out of a test that failed before its first await.
      return `${error}\n${output}`
    }
    root.end()
    await ended
    return root.passing() ? undefined : output.slice(-2000)
  }
}

/** Tap tells its parent process a timeout when it is loaded, in words that Stryker does not understand. */
async function loadTap() {
  const { send } = process
  process.send = undefined
  const { Test, t } = await import('tap')
  t.setTimeout(0)
  process.send = send
  return Test
}

export const strykerPlugins = [{ kind: 'TestRunner', name: 'tap', injectableClass: TapRunner }]
