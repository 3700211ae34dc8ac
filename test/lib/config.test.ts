import fc from 'fast-check'
import t from 'tap'
import { stringify } from 'yaml'
import { createConfigReader, formatMistakes, type Mistake } from '../../lib/service/config.ts'

const SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['cluster', 'gitlab', 'pools'],
  properties: {
    cluster: { type: 'string', pattern: '^[a-z0-9-]{1,40}$', description: 'lower-case letters, digits and dashes' },
    gitlab: {
      type: 'object',
      additionalProperties: false,
      required: ['url', 'group'],
      properties: {
        url: { type: 'string', format: 'http-url' },
        group: { type: ['integer', 'string'], description: 'id or full path of the group' },
      },
    },
    listen: { type: 'string', format: 'listen-address', default: ':8080' },
    profile: { type: 'string', enum: ['gentle', 'balanced', 'fast'], default: 'balanced' },
    limits: {
      type: 'object',
      default: {},
      additionalProperties: false,
      properties: { switchesPerHour: { type: 'integer', minimum: 1, maximum: 60, default: 6 } },
    },
    certificates: {
      type: 'object',
      default: { mode: 'self' },
      required: ['mode'],
      discriminator: { propertyName: 'mode' },
      oneOf: [
        {
          additionalProperties: false,
          properties: { mode: { const: 'self' }, days: { type: 'integer', default: 30 } },
        },
        {
          additionalProperties: false,
          required: ['cert'],
          properties: { mode: { const: 'files' }, cert: { type: 'string' } },
        },
      ],
    },
    pools: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['mainTag', 'clusters'],
        properties: {
          mainTag: { type: 'string', minLength: 1 },
          clusters: {
            type: 'array',
            minItems: 2,
            items: {
              type: 'object',
              additionalProperties: false,
              required: ['name', 'tag'],
              properties: {
                name: { type: 'string' },
                tag: { type: 'string', minLength: 1 },
                priority: { type: 'integer', default: 1 },
              },
            },
          },
        },
      },
    },
  },
} as const

const read = createConfigReader(SCHEMA)

const GOOD = `cluster: a
gitlab: {url: "https://gitlab.example.com", group: 33}
pools:
  - mainTag: rnd-runner
    clusters:
      - {name: a, tag: runner-a, priority: 2}
      - name: b
        tag: runner-b
`

function mistakesOf(text: string, reader: (text: string) => ReturnType<typeof read> = read): readonly Mistake[] {
  const result = reader(text)
  return result.ok ? [] : result.mistakes
}

t.test('a good document gives a typed, frozen configuration with every default filled in', t => {
  const result = read(GOOD)
  t.strictSame(result, {
    ok: true,
    config: {
      cluster: 'a',
      gitlab: { url: 'https://gitlab.example.com', group: 33 },
      pools: [
        {
          mainTag: 'rnd-runner',
          clusters: [
            { name: 'a', tag: 'runner-a', priority: 2 },
            { name: 'b', tag: 'runner-b', priority: 1 },
          ],
        },
      ],
      listen: ':8080',
      profile: 'balanced',
      limits: { switchesPerHour: 6 },
      certificates: { mode: 'self', days: 30 },
    },
  })
  const config = result.ok ? result.config : undefined
  const perHour: number | undefined = config?.limits.switchesPerHour
  t.equal(perHour, 6)
  const certificates = config?.certificates
  const days: number | undefined = certificates?.mode === 'self' ? certificates.days : Number(certificates?.cert)
  t.equal(days, 30)
  t.throws(() => Object.assign(config?.pools[0]?.clusters[0] ?? {}, { tag: 'x' }), TypeError)
  t.end()
})

t.test('one reading does not change what the next one gives', t => {
  const first = read(GOOD)
  t.strictSame(read(GOOD), first)
  t.end()
})

t.test('all mistakes are told at once, with path, line and rule in words', t => {
  const text = `clutser: a
gitlab: {url: gitlab.example.com, group: [1]}
listen: 0.0.0.0
profile: balancd
limits: {switchesPerHour: 0.5}
pools:
  - mainTag: ""
    clusters:
      - {name: a, priority: high}
`
  t.equal(
    formatMistakes(mistakesOf(text), 'decider.yaml'),
    `decider.yaml:1: clutser is not a known key; did you mean cluster?
decider.yaml:2: gitlab.url must be a URL that starts with http:// or https://
decider.yaml:2: gitlab.group must be a whole number or a text, not a list
decider.yaml:3: listen must be an address and a port, such as 0.0.0.0:8080, [::]:8080 or :8080
decider.yaml:4: profile must be one of gentle, balanced, fast; did you mean balanced?
decider.yaml:5: limits.switchesPerHour must be a whole number, not a number
decider.yaml:7: pools[0].mainTag must not be empty
decider.yaml:8: pools[0].clusters must have at least 2 entries
decider.yaml:9: pools[0].clusters[0].tag is required
decider.yaml:9: pools[0].clusters[0].priority must be a whole number, not a text
decider.yaml: cluster is required (lower-case letters, digits and dashes)`,
  )
  t.end()
})

t.test('an alternative is chosen by its discriminator, and only its own mistakes are told', t => {
  const rulesOf = (certificates: string) =>
    mistakesOf(`${GOOD}certificates: ${certificates}\n`).map(({ path, rule }) => `${path} ${rule}`)
  t.strictSame(rulesOf('{mode: files, crt: x}'), [
    'certificates.cert is required',
    'certificates.crt is not a known key; did you mean cert?',
  ])
  t.strictSame(rulesOf('{mode: file, cert: x}'), ['certificates.mode must be one of self, files; did you mean files?'])
  t.strictSame(rulesOf('{}'), ['certificates.mode is required'])
  t.strictSame(rulesOf('{mode: files, cert: x}'), [])
  t.end()
})

t.test('the value of a mistake is never repeated, since it may be a secret in the wrong place', t => {
  const secret = 'glpat-0123456789abcdefghij'
  const text = `cluster: ${secret}
gitlab: {url: "${secret}", group: [${secret}]}
profile: ${secret}
listen: ${secret}
limits: ${secret}
pools: ${secret}
`
  const mistakes = mistakesOf(text)
  t.equal(mistakes.length, 6)
  t.notMatch(JSON.stringify(mistakes), secret)
  t.end()
})

t.test('what is not one plain YAML mapping is a mistake with its line, never an exception', t => {
  const cases: [text: string, mistake: object][] = [
    ['', { line: 1, rule: /mapping/ }],
    ['# only a comment\n', { line: 1, rule: /mapping/ }],
    ['- a\n', { line: 1, rule: /mapping/ }],
    ['just a text', { line: 1, rule: /mapping/ }],
    ['null', { line: 1, rule: /mapping/ }],
    [`${GOOD}cluster: b\n`, { line: 9, rule: 'the key cluster is given twice' }],
    [`${GOOD}---\ncluster: b\n`, { rule: /one document/ }],
    ['a: !!js/function "x"\n', { line: 1, rule: /tags that start with `!`/ }],
    ['a: !!binary aGk=\n', { line: 1, rule: /tags that start with `!`/ }],
    ['a: 1\n{b: 2}: 3\n', { line: 2, rule: /keys must be texts/ }],
    ['a: b: c\n', { line: 1, rule: /not valid YAML/ }],
    ['a: [1\n', { rule: /not valid YAML/ }],
    ['a: *nowhere\n', { rule: /nowhere/ }],
    ['x'.repeat(1024 * 1024 + 1), { rule: /at most 1048576 characters/ }],
    [`a: ${'['.repeat(200_000)}`, { rule: /YAML/ }],
  ]
  for (const [text, mistake] of cases) t.match(mistakesOf(text), [{ path: '', ...mistake }], text.slice(0, 40))
  t.end()
})

t.test('aliases that would fill the memory are refused', t => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  const bomb = names.map((name, index) => {
    const inner = index === 0 ? 'x' : `*${names[index - 1] ?? ''}`
    return `${name}: &${name} [${Array(9).fill(inner).join(', ')}]`
  })
  t.match(mistakesOf(bomb.join('\n')), [{ rule: /alias/i }])
  t.end()
})

t.test('an anchor used in measure is fine', t => {
  const text = GOOD.replace('tag: runner-a', 'tag: &tag runner-a').replace('tag: runner-b', 'tag: *tag')
  t.match(read(text), { ok: true, config: { pools: [{ clusters: [{}, { tag: 'runner-a' }] }] } })
  t.end()
})

t.test('a key named __proto__ is an unknown key and changes nothing else', t => {
  t.match(mistakesOf(`${GOOD}__proto__: {polluted: true}\n`), [{ path: '__proto__', rule: /not a known key/ }])
  t.notOk('polluted' in {})
  t.end()
})

t.test('rules between fields are asked once the schema holds, and get their lines', t => {
  let asked = 0
  const strict = createConfigReader(SCHEMA, config => {
    asked++
    return config.pools.flatMap(({ clusters }, index) =>
      clusters.some(({ name }) => name === config.cluster)
        ? []
        : [{ path: `pools[${index}].clusters`, rule: `must contain this cluster, ${config.cluster}` }],
    )
  })
  t.strictSame(mistakesOf(GOOD.replace('cluster: a', 'cluster: z'), strict), [
    { path: 'pools[0].clusters', rule: 'must contain this cluster, z', line: 5 },
  ])
  t.equal(mistakesOf(GOOD, strict).length, 0)
  t.equal(asked, 2)
  t.equal(mistakesOf('cluster: a', strict).length, 2)
  t.equal(asked, 2)
  t.end()
})

t.test('any document gives a configuration or at least one mistake', t => {
  const document = fc.dictionary(
    fc.constantFrom('cluster', 'gitlab', 'pools', 'profile', '', 'a/b', '~'),
    fc.jsonValue(),
  )
  fc.assert(
    fc.property(
      fc.oneof(
        document.map(value => stringify(value)),
        fc.string(),
      ),
      text => {
        const result = read(text)
        if (result.ok) return
        if (result.mistakes.length === 0) throw new Error('no mistake told')
        if (result.mistakes.some(({ line }) => line !== undefined && line < 1)) throw new Error('no such line')
      },
    ),
  )
  t.end()
})
