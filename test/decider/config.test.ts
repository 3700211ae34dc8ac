import t from 'tap'
import { poolsOf, readDeciderConfig, runnerOwnerOf } from '../../decider/config.ts'
import { timingOf } from '../../decider/timing.ts'

const DESIGN = `
cluster: a
gitlab:     {url: https://gitlab.example.com, group: 33, project: 101, tokenFile: /var/run/secrets/hadr/token}
prometheus: {url: http://prometheus.monitoring:9090}
profile: balanced
pools:
  - mainTag: rnd-runner
    clusters: [{name: a, tag: runner-a, priority: 2}, {name: b, tag: runner-b}]
`

function mistakesOf(text: string): string[] {
  const result = readDeciderConfig(text)
  return result.ok ? [] : result.mistakes.map(({ path, rule }) => `${path}: ${rule}`)
}

t.test('the documented example is read, with every default filled in', t => {
  const result = readDeciderConfig(DESIGN)
  if (!result.ok) throw new Error(JSON.stringify(result.mistakes))
  const [pool] = poolsOf(result.config)
  t.match(pool, {
    name: 'rnd-runner',
    self: 'a',
    strength: 'count',
    margin: 1,
    marginRatio: 0.2,
    clusters: [
      { name: 'a', tag: 'runner-a', priority: 2, weight: 1 },
      { name: 'b', tag: 'runner-b', priority: 0, weight: 1 },
    ],
  })
  t.match(result.config, { listen: ':8080', timeScale: 1, prometheus: { job: '(.*/)?gitlab-runner-hadr' } })
  t.end()
})

t.test('every mistake is told at once, each with its path and rule', t => {
  const mistakes = mistakesOf(`
cluster: A
gitlab: {url: gitlab.example.com, group: ci, tokenFil: /token}
prometheus: {}
profile: quick
pools:
  - mainTag: "a,b"
    clusters: [{name: a}]
`)
  for (const expected of [
    /^cluster: must match/,
    /^gitlab\.url: must be a URL/,
    /^gitlab\.group: must be a whole number/,
    /^gitlab\.project: is required/,
    /^gitlab\.tokenFil: is not a known key; did you mean tokenFile\?/,
    /^prometheus\.url: is required/,
    /^profile: must be one of gentle, balanced, fast/,
    /^pools\[0\]\.mainTag: must match/,
    /^pools\[0\]\.clusters: must have at least 2 entries/,
    /^pools\[0\]\.clusters\[0\]\.tag: is required/,
  ]) {
    t.ok(
      mistakes.some(mistake => expected.test(mistake)),
      `${String(expected)} among ${mistakes.join(' | ')}`,
    )
  }
  t.end()
})

t.test('rules between fields', async t => {
  const withPools = (pools: string) => DESIGN.replace(/pools:[^]*$/, `pools:\n${pools}`)
  const cases: [name: string, pools: string, mistake: RegExp][] = [
    [
      'the own cluster must be in every pool',
      '  - {mainTag: x, clusters: [{name: b, tag: tb}, {name: c, tag: tc}]}',
      /pools\[0\]\.clusters: must contain this decider’s own cluster, a/,
    ],
    [
      'a cluster tag twice would make runners belong to two clusters',
      '  - {mainTag: x, clusters: [{name: a, tag: t}, {name: b, tag: t}]}',
      /pools\[0\]\.clusters\[1\]\.tag: must be unique/,
    ],
    [
      'a cluster name twice',
      '  - {mainTag: x, clusters: [{name: a, tag: ta}, {name: a, tag: tb}]}',
      /pools\[0\]\.clusters\[1\]\.name: must be unique/,
    ],
    [
      'a cluster tag that is a main tag would be taken away',
      '  - {mainTag: x, clusters: [{name: a, tag: x}, {name: b, tag: tb}]}',
      /pools\[0\]\.clusters\[0\]\.tag: must not be a main tag/,
    ],
    [
      'a main tag of two pools would have two masters',
      '  - {mainTag: x, clusters: [{name: a, tag: ta}, {name: b, tag: tb}]}\n  - {mainTag: x, name: y, clusters: [{name: a, tag: tc}, {name: b, tag: td}]}',
      /pools\[1\]\.mainTag: must be unique/,
    ],
    [
      'a name that every object knows would be found where there is nothing',
      '  - {mainTag: x, clusters: [{name: a, tag: ta}, {name: constructor, tag: tb}]}',
      /pools\[0\]\.clusters\[1\]\.name: must not be a word/,
    ],
    [
      'two main tags that give the same pool name',
      '  - {mainTag: x.y, clusters: [{name: a, tag: ta}, {name: b, tag: tb}]}\n  - {mainTag: x-y, clusters: [{name: a, tag: tc}, {name: b, tag: td}]}',
      /pools\[1\]\.name: must differ/,
    ],
    [
      'a main tag that gives no name',
      '  - {mainTag: "***", clusters: [{name: a, tag: ta}, {name: b, tag: tb}]}',
      /pools\[0\]\.name: is required/,
    ],
  ]
  for (const [name, pools, mistake] of cases) {
    await t.test(name, t => {
      t.match(mistakesOf(withPools(pools)).join('\n'), mistake)
      t.end()
    })
  }
})

t.test('the digest tells whether two deciders agree, and nothing local is in it', t => {
  const digest = (change: (text: string) => string) => {
    const result = readDeciderConfig(change(DESIGN))
    if (!result.ok) throw new Error(JSON.stringify(result.mistakes))
    return poolsOf(result.config)[0]?.digest
  }
  const same = digest(text => text)
  t.equal(
    digest(text => text.replace('cluster: a', 'cluster: b')),
    same,
    'each cluster has its own file',
  )
  t.equal(
    digest(text => text.replace('priority: 2', 'priority: 7, weight: 3')),
    same,
    'priorities are local',
  )
  t.equal(
    digest(text =>
      text.replace(
        '[{name: a, tag: runner-a, priority: 2}, {name: b, tag: runner-b}]',
        '[{name: b, tag: runner-b}, {name: a, tag: runner-a}]',
      ),
    ),
    same,
    'the order of clusters means nothing',
  )
  t.not(
    digest(text => text.replace('rnd-runner', 'other')),
    same,
  )
  t.not(
    digest(text => text.replace('runner-b', 'runner-c')),
    same,
  )
  t.not(
    digest(text => text.replace('name: b', 'name: c')),
    same,
  )
  t.not(
    digest(text => text.replace('mainTag: rnd-runner', 'mainTag: rnd-runner\n    strength: health')),
    same,
  )
  t.end()
})

t.test('in every profile one lost heartbeat kills nobody: T_dead ≥ 3 H + P', t => {
  for (const profile of ['gentle', 'balanced', 'fast'] as const) {
    const { deadAfterMs, heartbeatMs, pollMs } = timingOf(profile)
    t.ok(deadAfterMs >= 3 * heartbeatMs + pollMs, profile)
  }
  t.end()
})

t.test('runners have exactly one owner', t => {
  const owned = (owner: string) => DESIGN.replace('group: 33', owner)
  for (const [owner, expected] of [
    ['group: 33', { group: 33 }],
    ['runnersProject: 7', { runnersProject: 7 }],
    ['instance: true', { instance: true }],
  ] as const) {
    const result = readDeciderConfig(owned(owner))
    if (!result.ok) throw new Error(JSON.stringify(result.mistakes))
    t.strictSame(runnerOwnerOf(result.config), expected)
  }
  t.match(mistakesOf(DESIGN.replace('group: 33, ', '')), [/gitlab\.group: is required, or runnersProject/])
  t.match(mistakesOf(owned('group: 33, instance: true')), [/gitlab\.instance: must not be given beside group/])
  t.match(mistakesOf(owned('instance: false')), [/gitlab\.instance/])
  t.end()
})

t.test('desired pods are of one pool: with several each needs its own selector', t => {
  const second = `  - mainTag: qa
    clusters: [{name: a, tag: qa-a}, {name: b, tag: qa-b}]
`
  const runners = 'runners: {namespace: ci, selector: app=runner}\n'
  const workloads = (text: string) => {
    const result = readDeciderConfig(text)
    if (!result.ok) throw new Error(JSON.stringify(result.mistakes))
    return poolsOf(result.config).map(pool => pool.workloads?.selector)
  }
  t.same(workloads(DESIGN + runners), ['app=runner'])
  t.match(mistakesOf(DESIGN + second + runners), [/^runners: must be given in each pool/])
  t.same(workloads(`${DESIGN}${second}    runners: {selector: app=qa}\n${runners}`), ['app=runner', 'app=qa'])
  t.same(workloads(DESIGN), [undefined])
  t.end()
})
