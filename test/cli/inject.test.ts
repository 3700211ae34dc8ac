import { execFile, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { injectText, ManifestError, uninjectText } from '../../cli/inject/rewrite.ts'
import { applyAdditions } from '../../webhook/check.ts'
import { decideOptions, readPodCases } from '../webhook/pods.ts'

const OPTIONS = decideOptions()
const injected = (text: string) => injectText(text, OPTIONS).text
const uninjected = (text: string) => uninjectText(text).text

const MANIFESTS = `# runners of team a
apiVersion: apps/v1
kind: Deployment
metadata: {name: gl, namespace: ci}   # flow
spec:
  template:
    metadata:
      labels:
        app: gl-gitlab-runner
        chart: "gitlab-runner-0.86.0"
    spec:
      containers:
        - name: gl-gitlab-runner   # the runner
          image: "registry/gitlab-runner:1"
          env:
            - {name: A, value: 'b'}
          # after the variables
      # after the containers
      restartPolicy: Always
---
kind: ConfigMap
data:
  text: |
    y

---
apiVersion: v1
kind: List
items:
- kind: Pod
  metadata:
    name: p
    labels: {app: gitlab-runner}
  spec:
    volumes: []
    containers: [{name: r, image: i}, ]
    terminationGracePeriodSeconds: 9007199254740993
- kind: Pod
  metadata: {name: job, labels: {app: gitlab-runner}}
  spec: {restartPolicy: Never, containers: [{name: b}]}
...
`

t.test('runners in manifests are injected, and everything else stays line for line', t => {
  const { text, notes } = injectText(MANIFESTS, OPTIONS)
  const lines = text.split('\n')
  const kept = MANIFESTS.split('\n').filter(
    line => !line.includes('volumes: []') && !line.includes('containers: [{name: r'),
  )
  let from = 0
  for (const line of kept) {
    const at = lines.indexOf(line, from)
    t.ok(at >= 0, `kept in order: ${line}`)
    from = at + 1
  }
  t.strictSame(notes, [
    'Deployment/gl: injected',
    'Pod/p: injected',
    "Pod/job: unchanged: the pod's restartPolicy is not Always",
  ])
  t.match(text, /^ {8}- name: gitlab-runner-hadr\n {10}image: /m)
  t.match(text, /^ {12}- name: LISTEN_ADDRESS\n {14}value: "127.0.0.1:9252"\n {8}- name: gitlab-runner-hadr$/m)
  t.end()
})

t.test('taking the sidecar out gives the original back, byte for byte', t => {
  const withoutEnd = MANIFESTS.replace(/\n\.\.\.\n$/, '')
  for (const original of [MANIFESTS, withoutEnd, MANIFESTS.replaceAll('\n', '\r\n'), `\uFEFF${MANIFESTS}`]) {
    const once = injected(original)
    t.not(once, original)
    t.equal(injected(once), once, 'a second time adds nothing')
    t.equal(uninjected(once), original)
    t.equal(uninjected(original), original, 'there is nothing to take out')
  }
  t.end()
})

t.test('what offline injection makes of each pod of the corpus is what the webhook makes of it', t => {
  for (const { name, pod, options, expected } of readPodCases()) {
    // YAML has no keys that are the prototype's, and of a bare null nothing is left when it is taken out again.
    if (name.includes('prototypes') || name.includes('null')) continue
    const kind = { apiVersion: 'v1', kind: 'Pod' }
    const forms = {
      JSON: JSON.stringify({ ...kind, ...(pod as object) }, null, 2),
      'a workload': stringify(
        { kind: 'DaemonSet', metadata: { name: 'd', namespace: 'ci' }, spec: { template: pod } },
        { version: '1.1', indentSeq: false, aliasDuplicateObjects: false },
      ),
    }
    for (const [form, text] of Object.entries(forms)) {
      const after = injectText(text, options).text
      const meant = 'patch' in expected ? applyAdditions(pod, expected.patch) : pod
      const read = parse(after, { version: '1.1' }) as { spec: { template: unknown } }
      t.strictSame(
        form === 'a workload' ? read.spec.template : read,
        form === 'a workload' ? meant : { ...kind, ...(meant as object) },
        `${name} as ${form}`,
      )
      if (form.startsWith('JSON'))
        t.strictSame(JSON.parse(after), { ...kind, ...(meant as object) }, `${name}: still JSON`)
      const isWhole = !/^(?:partial|already-|record)/.test(name)
      if (isWhole) t.equal(uninjected(after), text, `${name} as ${form}, there and back`)
    }
  }
  t.end()
})

t.test('a pod that the webhook injected and the API server filled in loses its sidecar too', t => {
  const stored = readFileSync('test/webhook/pods/already-injected.json', 'utf8')
  const { pod } = JSON.parse(stored) as { pod: object }
  const text = uninjected(JSON.stringify(pod))
  t.notMatch(text, /gitlab-runner-hadr"/)
  t.match(JSON.parse(text), { spec: { containers: [{ name: 'runner' }] } })
  t.end()
})

t.test('a container of the user under our name is not taken out', t => {
  const text =
    'kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: gitlab-runner-hadr, image: mine}, {name: r}]}\n'
  t.strictSame(uninjectText(text), { text, notes: ['Pod/p: unchanged: it has no sidecar of ours'] })
  t.end()
})

const pod = (spec: string) => `kind: Pod\nmetadata: {name: p, labels: {app: gitlab-runner}}\nspec:\n${spec}`

const forms: Record<string, string> = {
  'a list at the column of its key': pod('  containers:\n  - name: r\n    args: ["a"]\n'),
  'a block text at the end, kept with its blank lines': pod(
    '  containers:\n  - name: r\n    args:\n    - |+\n      text\n\n  priority: 0\n',
  ),
  'a block text at the end of the file': pod('  containers:\n  - name: r\n    args:\n    - |\n      text'),
  'comments between and after': pod('  # c\n  containers: # d\n  # e\n  - name: r # f\n  # g\n\n  # h\n'),
  'a folded text over two lines': pod('  containers:\n  - name: r\n    image: a\n      b\n  priority: 0\n'),
  'flow lists over many lines': pod('  containers: [\n    {name: r,\n     image: i}, # c\n  ]\n'),
  'a list item on a line of its own': pod('  containers:\n  -\n    name: r\n'),
  'an empty value at the end': pod('  containers:\n  - name: r\n    command:\n'),
  'quoted keys': pod('  "containers":\n  - "name": r\n'),
  'explicit document marks': `--- # start\n${pod('  containers:\n  - name: r\n')}---\n---\nkind: X\n`,
}

for (const [form, text] of Object.entries(forms)) {
  t.test(`${form} is edited and restored`, t => {
    const once = injected(text)
    t.match(injectText(text, OPTIONS).notes, ['Pod/p: injected'])
    t.equal(injected(once), once)
    t.equal(uninjected(once), text)
    t.end()
  })
}

t.test('YAML that cannot be edited in place is refused, never broken', t => {
  const refused = [
    pod('  containers: &c\n  - name: r\nother: *c\n'),
    'x: &spec {containers: [{name: r}]}\nkind: Pod\nmetadata: {name: p, labels: {app: gitlab-runner}}\nspec: *spec\n',
  ]
  for (const text of refused) t.throws(() => injected(text), new ManifestError(''), text)
  t.throws(() => injected('a: [\n'), /not valid YAML/)
  t.throws(() => injected('a: 1\na: 2\n'), /not valid YAML/)
  t.equal(injected(''), '')
  t.equal(injected('# only a comment\n'), '# only a comment\n')
  t.end()
})

t.test('the command', async t => {
  const folder = t.testdir({
    'runner.yaml': MANIFESTS,
    'webhook.yaml':
      'sidecar: {image: "registry.example.com/gitlab-runner-hadr:1.0.0", gitlabUrl: "https://gitlab.example.com", gitlabGroupId: 33, tokenSecret: gitlab-runner-hadr}\n',
    'wrong.yaml': 'sidecar: {imag: x}\n',
    'broken.yaml': 'a: [\n',
  })
  const file = (name: string) => join(folder, name)
  const built = join(folder, 'dist')
  execFileSync(process.execPath, ['build.mjs', built])
  const run = (args: string[], input?: string) => start([join(built, 'hadr.cjs'), 'inject', ...args], input)
  const config = ['--config', file('webhook.yaml')]

  await t.test('writes manifests to standard output and notes to standard error', async t => {
    const result = await run([...config, '-f', file('runner.yaml')])
    t.equal(result.stdout, injected(MANIFESTS))
    t.match(result, { code: 0, stderr: /^Deployment\/gl: injected\nPod\/p: injected\nPod\/job: unchanged: .*\n$/ })
  })

  await t.test('reads standard input, and gives back what was injected', async t => {
    const result = await run(['--uninject', '-f', '-'], injected(MANIFESTS))
    t.match(result, { code: 0 })
    t.equal(result.stdout, MANIFESTS)
  })

  await t.test('ends with 78 and every mistake for a wrong configuration', async t => {
    const result = await run(['--config', file('wrong.yaml'), '-f', file('runner.yaml')])
    t.match(result, { code: 78, stdout: '', stderr: /wrong\.yaml:1: sidecar\.image is required/ })
    t.match(result, { stderr: /sidecar\.imag is not a known key; did you mean image\?/ })
  })

  await t.test('ends with 2 for arguments and manifests that cannot be used', async t => {
    t.match(await run(['-f', file('runner.yaml')]), { code: 2, stdout: '', stderr: /--config is required/ })
    t.match(await run(config), { code: 2, stdout: '', stderr: /--filename/ })
    t.match(await run([...config, '-f', file('absent')]), { code: 2, stdout: '', stderr: /absent cannot be read/ })
    t.match(await run([...config, '-f', file('broken.yaml')]), { code: 2, stdout: '', stderr: /not valid YAML/ })
  })
})

function start(args: string[], input = ''): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise(resolve => {
    const child = execFile(process.execPath, args, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr })
    })
    child.stdin?.end(input)
  })
}
