import { rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createTokenSource } from '../../lib/service/token-source.ts'
import { memoryLog } from '../sidecar/world.ts'

t.test('neither a file nor a value is a choice, not a problem', async t => {
  const log = memoryLog()
  t.same(await createTokenSource({ log }).read(), { token: undefined })
  t.same(await createTokenSource({ value: ' ', log }).read(), { token: undefined })
  t.same(log.lines, [])
})

t.test('a value is trimmed, one with strange characters is refused and not shown', async t => {
  const log = memoryLog()
  t.equal(await createTokenSource({ value: ' glpat-1\n', log }).token(), 'glpat-1')
  const { problem } = (await createTokenSource({ value: 'glpat-1\r\nX: y', log }).read()) as { problem: string }
  t.match(problem, /characters that no GitLab token has/)
  t.notMatch(problem, 'glpat-1')
})

t.test('a replaced file is noticed, as Kubernetes replaces the file of a Secret', async t => {
  const dir = t.testdir({ one: { token: 'glpat-1\n' }, two: { token: 'glpat-2\n' } })
  await symlink('one', join(dir, 'data'))
  const log = memoryLog()
  const source = createTokenSource({ file: join(dir, 'data/token'), log })
  t.equal(await source.token(), 'glpat-1')
  t.equal(await source.token(), 'glpat-1')
  await symlink('two', join(dir, 'next'))
  await rename(join(dir, 'next'), join(dir, 'data'))
  t.equal(await source.token(), 'glpat-2')
  t.match(log.lines, [{ level: 'info', message: 'the GitLab token changed' }])
  t.notMatch(JSON.stringify(log.lines), /glpat/)
})

t.test('a file that was never there is a problem, said once, until it comes', async t => {
  const file = join(t.testdir({}), 'token')
  const log = memoryLog()
  const source = createTokenSource({ file, log })
  t.match(await source.read(), { token: undefined, problem: /ENOENT/ })
  t.match(await source.read(), { problem: /ENOENT/ })
  t.equal(log.lines.length, 1)
  await writeFile(file, 'glpat-1')
  t.same(await source.read(), { token: 'glpat-1' })
  t.equal(log.lines.length, 2)
})

t.test('a file that vanishes leaves its last token in use', async t => {
  const file = join(t.testdir({ token: 'glpat-1' }), 'token')
  const log = memoryLog()
  const source = createTokenSource({ file, log })
  await source.read()
  await rm(file)
  t.same(await source.read(), { token: 'glpat-1' })
  t.match(log.lines, [{ level: 'warn', fields: { keepsLast: true } }])
})

t.test('an empty file, a huge one and a folder are no token', async t => {
  const dir = t.testdir({ empty: '\n', huge: 'x'.repeat(5_000), folder: {} })
  const log = memoryLog()
  const problemOf = async (name: string) => {
    const reading = await createTokenSource({ file: join(dir, name), log }).read()
    return reading.token === undefined ? reading.problem : 'none'
  }
  t.match(await problemOf('empty'), /is empty/)
  t.match(await problemOf('huge'), /not a token file/)
  t.match(await problemOf('folder'), /cannot be read|not a token file/)
})
