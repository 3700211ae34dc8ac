import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { readWebhookConfig, webhookConfigSchema } from '../../webhook/config.ts'
import { overridesFor } from '../../webhook/overrides.ts'
import { SKIP_REASONS, warningFor, type SkipReason } from '../../webhook/reasons.ts'
import { shapeOf } from '../../webhook/shape.ts'
import { render } from '../manifests/rendering.ts'
import { kubectl, lacksKubectl } from '../support/kubectl.ts'
import { sidecarConfig } from './pods.ts'

const text = readFileSync('docs/webhook.md', 'utf8')
const blocks = (language: string) =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map(([, block = '']) => block)
const cells = (row: string) => row.split('|').map(cell => cell.trim())
const yamlBlock = (name: string) => blocks('yaml').find(block => block.startsWith(`# ${name}`)) ?? ''
const commands = blocks('sh').flatMap(block => block.trim().split('\n'))

t.test('the table of reasons is the closed set, word for word, and says which ones are told', t => {
  const rows = text.split('\n').filter(row => /^\| `\w+` +\| (?:yes)? +\|/.test(row))
  const documented = rows.map(row => cells(row).slice(1, 4))
  const wanted = (Object.entries(SKIP_REASONS) as [SkipReason, string][]).map(([reason, meaning]) => [
    `\`${reason}\``,
    warningFor(reason) === undefined ? '' : 'yes',
    meaning,
  ])
  t.same(documented, wanted)
  t.end()
})

t.test('every key of the configuration is documented with its default, and the example is valid', t => {
  const keys = (schema: object, path: string): string[] => {
    const { properties, oneOf = [] } = schema as { properties?: Record<string, object>; oneOf?: object[] }
    if (oneOf.length > 0) return oneOf.flatMap(branch => keys(branch, path))
    if (!properties) return [path]
    return Object.entries(properties).flatMap(([name, inner]) => keys(inner, path === '' ? name : `${path}.${name}`))
  }
  const all = new Set(keys(webhookConfigSchema, ''))
  for (const key of all) t.match(text, `\`${key}\``)
  t.ok(all.size >= 14, `${all.size} keys`)
  const example = readWebhookConfig(yamlBlock('webhook.yaml'))
  t.match(example, { ok: true })
  if (!example.ok) return t.end()
  const { listen, opsListen, namespace, certificates, sidecar } = example.config
  const { requests, limits } = sidecar.resources
  for (const value of [
    listen,
    opsListen,
    namespace,
    certificates.mode,
    ...Object.values({ ...requests }),
    limits.cpu,
  ]) {
    t.match(text, `\`${value}\``)
  }
  return t.end()
})

t.test('every annotation that is documented is taken with its example', t => {
  const rows = [...text.matchAll(/^\| `(gitlab-runner-hadr\.io\/[a-z-]+)` +\| `([^`]+)` +\|/gm)]
  const annotations = Object.fromEntries(rows.map(([, key = '', value = '']): [string, string] => [key, value]))
  const shape = shapeOf({ metadata: { annotations }, spec: { containers: [{ name: 'c' }] } })
  if (shape === undefined) throw new Error('no shape')
  t.same(overridesFor(shape, sidecarConfig()).warnings, [])
  const source = readFileSync('webhook/overrides.ts', 'utf8')
  const readers = /READERS[^]*?= \{([^]*?)\n\}/.exec(source)?.[1] ?? ''
  const known = [...readers.matchAll(/^ {2}'?([a-z-]+)'?:/gm)].map(([, name]) => `gitlab-runner-hadr.io/${name ?? ''}`)
  t.same(Object.keys(annotations).sort(), known.sort())
  t.end()
})

t.test(
  'the example of an own folder renders, with every component that the page names',
  { skip: lacksKubectl() },
  async t => {
    const folder = t.testdir({ 'webhook.yaml': yamlBlock('webhook.yaml') })
    const example = yamlBlock('kustomization.yaml').replaceAll('../manifests', relative(folder, resolve('manifests')))
    writeFileSync(join(folder, 'kustomization.yaml'), example)
    const { the } = await render(folder)
    t.match(JSON.stringify(the('Deployment')), 'registry.example.com/gitlab-runner-hadr:1.0.0')
    t.ok(the('ValidatingAdmissionPolicy'))
    const rows = [...text.matchAll(/^\| `([a-z0-9-]+)` +\| [^|]*\| ([^|]*) \|$/gm)]
    const described = rows
      .map(([, name]) => name)
      .filter(name => readdirSync('manifests/components').includes(name ?? ''))
    t.same(described.sort(), readdirSync('manifests/components').sort())
  },
)

t.test('the commands that need no cluster do what the page says', { skip: lacksKubectl() }, async t => {
  const rendered = commands.filter(command => command.startsWith('kubectl kustomize'))
  t.equal(rendered.length, 2)
  for (const command of rendered)
    t.match(await kubectl(...command.split(' ').slice(1)), 'kind: MutatingWebhookConfiguration')

  const pod =
    'apiVersion: v1\nkind: Pod\nmetadata:\n  name: r # mine\n  labels: {app: gitlab-runner}\nspec:\n  containers: [{name: r, image: i}]\n'
  const folder = t.testdir({ 'webhook.yaml': yamlBlock('webhook.yaml'), 'pod.yaml': pod })
  const program = ['--import', import.meta.resolve('tsx'), resolve('cli/inject-main.ts')]
  const hadr = (command: string) =>
    execFileSync(process.execPath, [...program, ...command.split(' ').slice(3)], { cwd: folder, encoding: 'utf8' })
  const [inject = '', uninject = ''] = commands.filter(command => command.startsWith('npx hadr inject'))
  const injected = hadr(inject)
  t.match(parse(injected), { spec: { containers: [{ name: 'r' }, { name: 'gitlab-runner-hadr' }] } })
  writeFileSync(join(folder, 'injected.yaml'), injected)
  t.equal(hadr(uninject), pod)
})
