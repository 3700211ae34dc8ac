import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { createLog, type LogLevel } from '../../lib/service/log.ts'

function collect(level?: LogLevel) {
  const lines: Record<string, unknown>[] = []
  const write = (text: string) => void lines.push(JSON.parse(text) as Record<string, unknown>)
  return { lines, log: createLog('tested', level, { write }) }
}

t.test('a line has its level as a word, its time, its program, its fields and its sentence', t => {
  const { lines, log } = collect()
  log.warn({ pod: 'gl-1', ms: 1.5 }, 'something happened')
  t.match(lines, [{ level: 'warn', program: 'tested', pod: 'gl-1', ms: 1.5, msg: 'something happened' }])
  t.match(lines[0]?.['time'], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.end()
})

t.test('what looks like a secret is replaced, at the top and one level down, in errors too', t => {
  const { lines, log } = collect()
  log.info({ token: 'glpat-1', pod: 'a' }, 'top')
  log.info({ headers: { 'PRIVATE-TOKEN': 'glpat-2', accept: 'b' } }, 'below')
  log.error({ err: Object.assign(new Error('no'), { password: 'glpat-3' }) }, 'error')
  log.debug({ token: 'glpat-4' }, 'not written at this level')
  t.notMatch(JSON.stringify(lines), /glpat/)
  t.match(lines, [
    { token: '[redacted]', pod: 'a' },
    { headers: { 'PRIVATE-TOKEN': '[redacted]', accept: 'b' } },
    { err: { message: 'no', password: '[redacted]' } },
  ])
  t.equal(lines.length, 3)
  t.end()
})

t.test('a line without anything of the kind is the same as with a secret left out', t => {
  const { lines, log } = collect('debug')
  log.debug({ a: { b: 1 }, c: null, d: undefined }, 'plain')
  log.debug({ a: { b: 1 }, c: null, d: undefined, secret: 's' }, 'plain')
  const [plain, careful] = lines.map(line => ({ ...line, time: '', secret: '' }))
  t.strictSame(plain, careful)
  t.end()
})

t.test('lines below the level are not written', t => {
  const { lines, log } = collect('error')
  log.info({}, 'no')
  log.warn({ token: 'x' }, 'no')
  log.error({}, 'yes')
  t.match(lines, [{ level: 'error', msg: 'yes' }])
  t.equal(lines.length, 1)
  t.end()
})

const LAST_WORDS = {
  'a process that exits at once': { script: `process.exit(3)`, code: 3 },
  'a process that fails': { script: `throw new Error('unforeseen')`, code: 1 },
  'a process that has no more to do': { script: ``, code: 0 },
}

for (const [who, { script, code }] of Object.entries(LAST_WORDS)) {
  t.test(`${who} has written all its lines, in order`, async t => {
    const child = logging(`
      log.info({}, 'one')
      setImmediate(() => { log.info({}, 'two'); log.error({}, 'three'); ${script} })`)
    const exited = once(child, 'exit')
    const said = (await linesOf(child)).map(({ msg }) => msg)
    t.strictSame(said, ['one', 'two', 'three'])
    t.match(await exited, [code])
  })
}

t.test('lines that nobody reads are lost, not kept for ever, and none in part', async t => {
  const child = logging(`
    for (let batch = 0; batch < 200; batch++) {
      for (let i = 0; i < 100; i++) log.info({ batch, i, filling: 'x'.repeat(1000) }, 'line')
      await new Promise(resolve => setTimeout(resolve, 11))
    }
    process.send('written')`)
  await once(child, 'message')
  child.disconnect()
  const { length } = await linesOf(child)
  t.ok(length >= 1_000 && length < 10_000, `${length} lines of 20,000`)
})

/** A process that runs `script` with a `log` on its standard output. */
function logging(script: string): ChildProcess {
  const module = JSON.stringify(new URL('../../lib/service/log.ts', import.meta.url).href)
  const source = `import { createLog } from ${module}; const log = createLog('tested'); ${script}`
  return spawn(process.execPath, ['--import=tsx', '--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
  })
}

async function linesOf({ stdout }: ChildProcess): Promise<{ msg: string }[]> {
  if (stdout === null) throw new Error('the process has no output')
  const lines = (await text(stdout)).trim().split('\n')
  return lines.map(line => JSON.parse(line) as { msg: string })
}
