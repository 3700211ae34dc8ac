import fc from 'fast-check'
import t from 'tap'
import { parseExposition } from '../../sidecar/exposition.ts'

const wanted = new Set(['jobs', 'state'])
const read = (text: string) => parseExposition(text, wanted)
const only = (text: string) => {
  const parsed = read(text)
  return parsed.ok ? parsed.samples[0] : parsed.problem
}

t.test('a sample is read with its labels, value and timestamp', t => {
  t.same(only('jobs{runner="abc",state="running",} 3 1700000000000\n'), {
    name: 'jobs',
    labels: { runner: 'abc', state: 'running' },
    value: 3,
  })
  t.same(only('jobs 1.5e+3\n'), { name: 'jobs', labels: {}, value: 1500 })
  t.same(only('jobs{} +Inf\n'), { name: 'jobs', labels: {}, value: Infinity })
  t.same(only('jobs { a = "b" , c="d" }\t-7\r\n'), { name: 'jobs', labels: { a: 'b', c: 'd' }, value: -7 })
  t.end()
})

t.test('escapes in label values are undone, unknown ones are kept', t => {
  const sample = only(String.raw`jobs{a="q\"b\\n\nend",b="\x",c="}{,="} 1` + '\n')
  t.same(sample, { name: 'jobs', labels: { a: 'q"b\\n\nend', b: String.raw`\x`, c: '}{,=' }, value: 1 })
  t.end()
})

t.test('a label called __proto__ is a label like any other', t => {
  const sample = only('jobs{__proto__="x"} 1\n')
  t.equal(typeof sample === 'object' && Object.getOwnPropertyDescriptor(sample.labels, '__proto__')?.value, 'x')
  t.end()
})

t.test('comments, blank lines and families that nobody wants are passed over, however broken', t => {
  const parsed = read('# HELP jobs Jobs.\n# TYPE jobs gauge\n\nother{a=} x\njobs_total{ 3\njobs 2\n')
  t.same(parsed, { ok: true, samples: [{ name: 'jobs', labels: {}, value: 2 }] })
  t.end()
})

t.test('one malformed line of a wanted family makes the whole answer worthless', t => {
  for (const line of [
    'jobs',
    'jobs x',
    'jobs-1',
    'jobs 0x10',
    'jobs 1 2 3',
    'jobs{a="b} 1',
    'jobs{a="b" c="d"} 1',
    'jobs{a="1",a="2"} 1',
    'jobs{a=b} 1',
    'jobs{a="b"',
    'jobs{="b"} 1',
  ]) {
    const parsed = read(`state 1\n${line}\nstate 1\n`)
    t.match(parsed, { ok: false, line: 2, problem: /jobs/ }, line)
  }
  t.end()
})

t.test('a text that ends in the middle of a line was cut off', t => {
  t.match(read('jobs 1\njobs 12'), { ok: false, line: 2 })
  t.end()
})

t.test('an endless line and endless samples are refused', t => {
  t.match(read(`jobs{a="${'x'.repeat(20_000)}"} 1\n`), { ok: false, problem: /endless/ })
  t.match(read('jobs 1\n'.repeat(20_001)), { ok: false, problem: /more than/ })
  t.end()
})

t.test('no text makes the parser throw', t => {
  const pieces = fc.constantFrom(
    'jobs',
    'state',
    '{',
    '}',
    '"',
    '\\',
    '\n',
    ',',
    '=',
    ' ',
    'a',
    '1',
    '#',
    '\u0000',
    'é',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(pieces, { maxLength: 60 }).map(parts => parts.join('')),
      ),
      text => {
        const parsed = read(text)
        return parsed.ok ? parsed.samples.every(({ name }) => wanted.has(name)) : parsed.line >= 1
      },
    ),
    { numRuns: 2_000 },
  )
  t.end()
})

t.test('whatever the label values are, they come back as they were', t => {
  const escape = (value: string) => value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
  const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/)
  // The format knows one line end only; others stand in values as they are.
  const value = fc.string({ unit: 'binary' })
  fc.assert(
    fc.property(fc.dictionary(name, value, { maxKeys: 5 }), fc.double({ noNaN: true }), (labels, number) => {
      const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escape(text)}"`)
      const text = Number.isFinite(number) ? String(number) : number > 0 ? '+Inf' : '-Inf'
      const parsed = read(`jobs{${pairs.join(',')}} ${text}\n`)
      const sample = parsed.ok ? parsed.samples[0] : undefined
      return JSON.stringify(sample?.labels) === JSON.stringify(labels) && sample?.value === number + 0
    }),
  )
  t.end()
})
