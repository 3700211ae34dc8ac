import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { TARGETS } from './targets/index.ts'

const fuzz = (...args: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', 'test/fuzz/main.ts', ...args], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  })

t.test('every target stands a hundred inputs, and a table tells what became of them', t => {
  const { status, stdout, stderr } = fuzz('--count', '100', '--seed', '7', '--failures', t.testdir())
  t.equal(status, 0, stderr)
  t.match(stdout, /^seed 7$/m)
  for (const { name } of TARGETS) t.match(stdout, new RegExp(`${name} .*100`))
  t.end()
})

t.test('an input that breaks a reader is made small and kept, and the run fails', t => {
  const failures = t.testdir()
  const faulty = ['--targets', 'test/fuzz/faulty-targets.ts', '--seed', '7', '--failures', failures]
  const { status, stderr } = fuzz(...faulty, '--only', 'crash')
  t.equal(status, 1)
  t.match(stderr, /cannot stand the letter a/)
  t.equal(readFileSync(join(failures, 'crash-7.txt'), 'utf8'), 'a')
  t.end()
})

t.test('an input that a reader never comes back from is kept, too', t => {
  const failures = t.testdir()
  const faulty = ['--targets', 'test/fuzz/faulty-targets.ts', '--seed', '7', '--failures', failures]
  const { status, stderr } = fuzz(...faulty, '--only', 'hang', '--hang-seconds', '1')
  t.equal(status, 1, stderr)
  t.match(stderr, /took longer than 1000 ms/)
  t.ok(readFileSync(join(failures, 'hang-7.txt'), 'utf8').length >= 5)
  t.end()
})

t.test('a wrong option is refused with the usage', t => {
  for (const args of [
    ['--only', 'nothing'],
    ['--count', '0'],
    ['--minutes', '0'],
    ['--seed', 'x'],
  ]) {
    t.match(fuzz(...args), { status: 64, stderr: /npm run fuzz/ })
  }
  t.end()
})
