import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t, { type Test } from 'tap'

const PASS = "import t from 'tap'\nt.test('good', t => { t.ok(true); t.ok(true); t.end() })\n"
const FAIL = "import t from 'tap'\nt.test('bad', t => { t.equal(1, 2); t.ok(true); t.end() })\n"
const SKIP = "import t from 'tap'\nt.test('later', { skip: 'no thing here' }, () => {})\nt.ok(true)\n"
const LOST = "import './nowhere.mjs'\n"
const CRASH = "import t from 'tap'\nt.ok(true)\nthrow new Error('boom')\n"

t.test('the closing line tells what passed, failed and was skipped, and the exit code agrees', async t => {
  const files = { 'a.test.mjs': PASS, 'b.test.mjs': FAIL, 'c.test.mjs': SKIP, 'd.test.mjs': CRASH, 'e.test.mjs': LOST }
  const result = await runTap(t, files)
  t.equal(result.code, 1)
  t.match(result.output, /\n5 passed, 3 failed, 1 skipped\n$/)
  t.match(result.output, /^ok {5}a\.test\.mjs \(\d\.\d s\)$/m)
  t.match(result.output, /^FAILED b\.test\.mjs .*\n +bad > should be equal\n/m)
  t.match(result.output, /^ +-2\n +\+1\n/m, 'with the difference')
  t.match(result.output, /^ok {5}c\.test\.mjs .*\n +skipped: later: no thing here$/m)
  t.match(result.output, /^FAILED d\.test\.mjs .*\n +boom\n/m)
  t.match(result.output, /^FAILED e\.test\.mjs .*\n(.+\n)* +exitCode: 1\n/m, 'a file that cannot be loaded')
})

t.test('when all is well, a line per file and the closing line are all there is', async t => {
  const result = await runTap(t, { 'a.test.mjs': PASS })
  t.match(result, { code: 0, output: /^ok {5}a\.test\.mjs \(\d\.\d s\)\n2 passed, 0 failed\n$/ })
})

/** In a folder and an environment of its own, so that this run and that one do not meet. */
function runTap(t: Test, files: Record<string, string>): Promise<{ code: unknown; output: string }> {
  const taprc = 'disable-coverage: true\ninclude:\n  - "*.test.mjs"\n'
  const cwd = t.testdir({ ...files, 'package.json': '{"name":"x","version":"1.0.0"}', '.taprc': taprc })
  const own = Object.entries(process.env).filter(([name]) => !/^_?TAP/.test(name))
  const { bin } = JSON.parse(readFileSync('node_modules/tap/package.json', 'utf8')) as { bin: { tap: string } }
  const args = [resolve('node_modules/tap', bin.tap), '--jobs=2', `--reporter=${resolve('test/reporter.mjs')}`]
  return new Promise(done => {
    execFile(process.execPath, args, { cwd, env: Object.fromEntries(own) }, (error, output) => {
      done({ code: error?.code ?? 0, output })
    })
  })
}
