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
