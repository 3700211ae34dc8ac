import t from 'tap'
import { readDeciderConfig } from '../../../decider/config.ts'
import { fleetsOf } from '../../../decider/fleet/config.ts'

const text = (fleet: string, more = 'runners: {namespace: ci, selector: app=runner}') => `
cluster: a
gitlab: {url: https://gitlab.example.com, group: 33, project: 101, tokenFile: /t}
prometheus: {url: http://prometheus:9090}
${more}
pools:
  - mainTag: rnd-runner
    clusters: [{name: a, tag: runner-a}, {name: b, tag: runner-b}]
    fleet: ${fleet}
`

function mistakesOf(given: string): string[] {
  const result = readDeciderConfig(given)
  return result.ok ? [] : result.mistakes.map(({ path, rule }) => `${path} ${rule}`)
}

t.test('the shortest fleet exports, with defaults that suit most', t => {
  const result = readDeciderConfig(text('{max: 10}'))
  if (!result.ok) throw new Error(JSON.stringify(result.mistakes))
  t.match(fleetsOf(result.config), [
    {
      pool: 'rnd-runner',
      cluster: 'a',
      clusterTag: 'runner-a',
      target: undefined,
      rules: { min: 1, max: 10, standby: 1, spare: 1, growBy: 3, windowMs: 300_000, stepMs: 60_000 },
      everyMs: 15_000,
      minGapMs: 5_000,
    },
  ])
  t.end()
})

t.test('patch names its Deployment, in the namespace of the runners', t => {
  const result = readDeciderConfig(text('{max: 10, min: 2, scale: patch, deployment: managers}'))
  if (!result.ok) throw new Error(JSON.stringify(result.mistakes))
  t.match(fleetsOf(result.config), [{ target: { namespace: 'ci', deployment: 'managers' }, rules: { standby: 2 } }])
  t.end()
})

t.test('with many projects it looks more seldom, so that GitLab’s limit is not reached', t => {
  const projects = Array.from({ length: 100 }, (_, index) => index + 1).join(', ')
  const result = readDeciderConfig(text(`{max: 10, projects: [${projects}]}`))
  if (!result.ok) throw new Error(JSON.stringify(result.mistakes))
  t.match(fleetsOf(result.config), [{ everyMs: 20_000, minGapMs: 20_000 }])
  t.end()
})

const WRONG: Readonly<Record<string, [given: string, rule: RegExp]>> = {
  'max is required': [text('{}'), /^pools\[0\]\.fleet\.max is required/],
  'min above max': [text('{min: 5, max: 4}'), /^pools\[0\]\.fleet\.min must be at most max, 4/],
  'standby above max': [text('{standby: 5, max: 4}'), /^pools\[0\]\.fleet\.standby must be at most max, 4/],
  'zero managers': [text('{min: 0, max: 4}'), /^pools\[0\]\.fleet\.min must be at least 1/],
  'patch without a Deployment': [
    text('{max: 4, scale: patch}'),
    /^pools\[0\]\.fleet\.deployment is required with scale: patch/,
  ],
  'export with a Deployment': [text('{max: 4, deployment: x}'), /^pools\[0\]\.fleet\.deployment must not be given/],
  'a misspelt way': [
    text('{max: 4, scale: patsh}'),
    /^pools\[0\]\.fleet\.scale must be one of export, patch; did you mean patch/,
  ],
  'no runners': [text('{max: 4}', ''), /^pools\[0\]\.fleet needs runners/],
  'a short window': [text('{max: 4, windowSeconds: 10}'), /^pools\[0\]\.fleet\.windowSeconds must be at least 60/],
  'managers without tokens': [
    text('{max: 4, housekeeping: {removeManagersAfterHours: 24}}'),
    /runnerTokenFiles is required with removeManagersAfterHours/,
  ],
  'assigning group runners': [
    text('{max: 4, housekeeping: {assignToGroup: 33}}'),
    /assignToGroup is for project runners/,
  ],
}

for (const [name, [given, rule]] of Object.entries(WRONG)) {
  t.test(`is refused: ${name}`, t => {
    const mistakes = mistakesOf(given)
    t.ok(
      mistakes.some(mistake => rule.test(mistake)),
      mistakes.join('\n'),
    )
    t.end()
  })
}

t.test('two pools cannot scale one Deployment, and hooks need a fleet', t => {
  const pool = (tag: string) => `
  - mainTag: ${tag}
    runners: {namespace: ci, selector: app=${tag}}
    clusters: [{name: a, tag: a-${tag}}, {name: b, tag: b-${tag}}]
    fleet: {max: 4, scale: patch, deployment: one}`
  const head = text('{max: 1}', '').split('pools:')[0] ?? ''
  t.match(mistakesOf(`${head}pools:${pool('x')}${pool('y')}`), [/pools\[1\]\.fleet\.deployment must differ/])
  const hooks = 'jobHooks: {listen: ":8082", tokenFile: /hook}\n'
  const bare = 'pools:\n  - mainTag: z\n    clusters: [{name: a, tag: ta}, {name: b, tag: tb}]\n'
  t.match(mistakesOf(`${head}${hooks}${bare}`), [/^jobHooks needs a pool with fleet/])
  t.end()
})
