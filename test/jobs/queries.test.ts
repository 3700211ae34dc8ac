import fc from 'fast-check'
import t from 'tap'
import { readDeciderConfig } from '../../decider/config.ts'
import { DEFAULT_QUERIES, MAX_QUERIES, renderQuery, windowOf } from '../../decider/jobs/queries.ts'

const pod = { namespace: 'ci', name: 'runner-x-project-1-concurrent-0-abcdefgh' }

t.test('placeholders become matchers and a duration, with any number of colons around them', t => {
  t.equal(
    renderQuery('job:cpu::rate:sum{{selector},container!=""}', pod, 60_000),
    'job:cpu::rate:sum{namespace="ci",pod="runner-x-project-1-concurrent-0-abcdefgh",container!=""}',
  )
  t.equal(
    renderQuery('max_over_time(rate(a{{selector}}[{interval}])[10m:{interval}])', { namespace: 'ci', name: 'p' }, 1500),
    'max_over_time(rate(a{namespace="ci",pod="p"}[1500ms])[10m:1500ms])',
  )
  const odd = renderQuery('a{{selector}}', { namespace: 'a"b', name: '$&{interval}' }, 1000)
  t.match(odd, 'namespace="a\\"b"')
  t.match(odd, 'pod="$&')
  t.end()
})

t.test('the built-in queries are few, named apart, and each asks for one pod', t => {
  t.ok(DEFAULT_QUERIES.length <= MAX_QUERIES)
  t.equal(new Set(DEFAULT_QUERIES.map(({ name }) => name)).size, DEFAULT_QUERIES.length)
  for (const { query, name } of DEFAULT_QUERIES) t.ok(query.includes('{selector}'), name)
  t.end()
})

t.test('whatever the length of a job, its points are bounded and its step is no finer than the scrapes', t => {
  const length = fc.integer({ min: -5_000, max: 40 * 86_400_000 })
  fc.assert(
    fc.property(length, fc.integer({ min: 1_000, max: 300_000 }), (durationMs, scrapeMs) => {
      const { startMs, endMs, stepMs, intervalMs } = windowOf(
        1_700_000_000_000,
        1_700_000_000_000 + durationMs,
        scrapeMs,
      )
      return (
        endMs >= startMs &&
        stepMs >= scrapeMs &&
        (endMs - startMs) / stepMs <= 251 &&
        intervalMs >= stepMs &&
        intervalMs >= 4 * scrapeMs
      )
    }),
  )
  t.end()
})

const GOOD = {
  cluster: 'a',
  gitlab: { url: 'http://gitlab.test', group: 1, project: 2 },
  prometheus: { url: 'http://prometheus.test' },
  pools: [
    {
      mainTag: 'rnd',
      clusters: [
        { name: 'a', tag: 'runner-a' },
        { name: 'b', tag: 'runner-b' },
      ],
    },
  ],
}
const read = (jobs?: object) => readDeciderConfig(JSON.stringify({ ...GOOD, ...(jobs && { jobs }) }))

t.test('jobs are off unless configured, and a short configuration is enough', t => {
  t.match(read(), { ok: true, config: { jobs: undefined } })
  t.match(read({ namespaces: ['ci'], folder: '/var/lib/hadr/jobs' }), {
    ok: true,
    config: { jobs: { keepDays: 7, scrapeSeconds: 30, page: false, package: false, audience: 'gitlab-runner-hadr' } },
  })
  t.end()
})

t.test('mistakes in jobs are told at once, each with its place and its mend', t => {
  const wrong = read({ namespaces: [], keepDays: 0, queries: [{ name: 'Cpu', query: 'up' }], pages: true })
  t.match(wrong, { ok: false })
  const places = wrong.ok ? [] : wrong.mistakes.map(({ path, rule }) => `${path} ${rule}`).join('\n')
  t.match(places, /jobs\.folder is required/)
  t.match(places, /jobs\.namespaces must have at least one entry/)
  t.match(places, /jobs\.keepDays must be at least/)
  t.match(places, /jobs\.queries\[0\]\.name must match/)
  t.match(places, /jobs\.pages is not a known key; did you mean page\?/)

  const between = read({
    namespaces: ['ci'],
    folder: '/x',
    queries: [
      { name: 'cpu', query: 'sum(rate(cpu[1m]))' },
      { name: 'cpu', query: 'a{{selector}}' },
    ],
  })
  const rules = between.ok ? [] : between.mistakes.map(({ path, rule }) => `${path} ${rule}`)
  t.match(rules, [/jobs\.queries\[0\]\.query must hold {selector}/, /jobs\.queries\[1\]\.name must be unique/])
  t.end()
})
