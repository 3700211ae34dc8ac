import t from 'tap'
import { readInstantAnswer, readRangeAnswer } from '../../lib/prometheus/answer.ts'

const success = (resultType: string, result: unknown, more: object = {}) =>
  JSON.stringify({ status: 'success', data: { resultType, result }, ...more })
const failure = (errorType: string, error: string) => JSON.stringify({ status: 'error', errorType, error })

t.test('a vector gives its samples with labels, values and the time of evaluation', t => {
  const body = success('vector', [
    { metric: { __name__: 'up', job: 'a' }, value: [1700000000.125, '1'] },
    { metric: {}, value: [1700000000.125, '1.5e+03'] },
  ])
  t.strictSame(readInstantAnswer(200, body), {
    kind: 'complete',
    evaluatedAtMs: 1700000000125,
    samples: [
      { labels: { __name__: 'up', job: 'a' }, timestampMs: 1700000000125, value: 1, raw: '1' },
      { labels: {}, timestampMs: 1700000000125, value: 1500, raw: '1.5e+03' },
    ],
  })
  t.end()
})

t.test('as many samples as fit into an answer can be read', t => {
  const body = success(
    'vector',
    Array.from({ length: 200_000 }, (_, index) => ({ metric: {}, value: [1700000000 + (index % 7), '1'] })),
  )
  t.match(readInstantAnswer(200, body), { kind: 'complete', evaluatedAtMs: 1700000006000 })
  t.end()
})

t.test('what is not a finite number has no value, never 0', t => {
  for (const raw of ['NaN', '+Inf', '-Inf', '', ' ', '0x10', '1e999', 'Infinity', 'one']) {
    const result = readInstantAnswer(200, success('vector', [{ metric: {}, value: [1, raw] }]))
    t.match(result, { kind: 'complete', samples: [{ value: undefined, raw }] }, `"${raw}"`)
  }
  const histogram = readInstantAnswer(200, success('vector', [{ metric: {}, histogram: [1, { count: '3' }] }]))
  t.match(histogram, { kind: 'complete', samples: [{ value: undefined, raw: 'histogram' }] })
  t.end()
})

t.test('a scalar is one sample without labels', t => {
  t.match(readInstantAnswer(200, success('scalar', [2, '-0.25'])), {
    kind: 'complete',
    samples: [{ labels: {}, timestampMs: 2000, value: -0.25 }],
  })
  t.end()
})

t.test('no series is empty, and nothing else', t => {
  t.strictSame(readInstantAnswer(200, success('vector', [])), { kind: 'empty' })
  t.strictSame(readRangeAnswer(200, success('matrix', [])), { kind: 'empty' })
  t.end()
})

t.test('warnings make the result partial, with or without series; infos do not', t => {
  const warnings = ['store x is down']
  const one = [{ metric: {}, value: [1, '7'] }]
  t.match(readInstantAnswer(200, success('vector', one, { warnings })), {
    kind: 'partial',
    warnings,
    samples: [{ value: 7 }],
  })
  t.strictSame(readInstantAnswer(200, success('vector', [], { warnings })), {
    kind: 'partial',
    warnings,
    samples: [],
    evaluatedAtMs: undefined,
  })
  t.match(readRangeAnswer(200, success('matrix', [], { warnings })), { kind: 'partial', warnings, series: [] })
  t.match(readInstantAnswer(200, success('vector', one, { warnings: [], infos: ['not a counter'] })), {
    kind: 'complete',
  })
  t.end()
})

t.test('a refused query tells what Prometheus said', t => {
  for (const status of [400, 422]) {
    t.strictSame(readInstantAnswer(status, failure('bad_data', 'parse error')), {
      kind: 'bad_query',
      status,
      message: 'bad_data: parse error',
    })
  }
  t.match(readRangeAnswer(422, failure('execution', 'many-to-many')), { kind: 'bad_query' })
  t.end()
})

t.test('a status that says not now or not here is unavailable, with the message if there is one', t => {
  t.match(readInstantAnswer(503, failure('timeout', 'query timed out')), {
    kind: 'unavailable',
    status: 503,
    message: 'HTTP 503: timeout: query timed out',
  })
  for (const status of [302, 401, 403, 404, 429, 500, 502, 504]) {
    t.match(readInstantAnswer(status, '<html>'), { kind: 'unavailable', status, message: `HTTP ${status}` })
  }
  t.match(readInstantAnswer(200, failure('canceled', 'gone')), { kind: 'unavailable' })
  t.end()
})

t.test('an answer in another form is invalid', t => {
  const bodies = [
    '',
    'ok',
    'null',
    '[]',
    '{}',
    '{"status":"success"}',
    '{"status":"success","data":{"resultType":"vector"}}',
    success('vector', {}),
    success('vector', [{ metric: {}, value: [1, 1] }]),
    success('vector', [{ metric: {}, value: ['1', '1'] }]),
    success('vector', [{ metric: { a: 1 }, value: [1, '1'] }]),
    success('vector', [{ value: [1, '1'] }]),
    success('vector', [null]),
    success('scalar', [1]),
    success('string', [1, 'x']),
    success('matrix', []),
    success('vector', [], { warnings: 'x' }),
  ]
  for (const body of bodies) t.match(readInstantAnswer(200, body), { kind: 'invalid_answer' }, body)
  t.match(readInstantAnswer(400, 'The plain HTTP request was sent to HTTPS port'), { kind: 'invalid_answer' })
  t.match(readRangeAnswer(200, success('vector', [])), { kind: 'invalid_answer' })
  t.match(readRangeAnswer(200, success('matrix', [{ metric: {}, values: [[1]] }])), { kind: 'invalid_answer' })
  t.end()
})

t.test('a matrix gives each series with its points in time order', t => {
  const series = { metric: { job: 'a' }, values: [[1, '1'], [3.5, 'NaN']], histograms: [[2, {}]] } // prettier-ignore
  t.strictSame(readRangeAnswer(200, success('matrix', [series])), {
    kind: 'complete',
    series: [
      {
        labels: { job: 'a' },
        points: [
          { timestampMs: 1000, value: 1, raw: '1' },
          { timestampMs: 2000, value: undefined, raw: 'histogram' },
          { timestampMs: 3500, value: undefined, raw: 'NaN' },
        ],
      },
    ],
  })
  t.end()
})

t.test('a message of any length stays short', t => {
  const result = readInstantAnswer(422, failure('execution', 'x'.repeat(10_000)))
  t.ok(result.kind === 'bad_query' && result.message.length === 500)
  t.end()
})
