import { readFileSync } from 'node:fs'
import t from 'tap'
import { deciderConfigSchema, readDeciderConfig } from '../../decider/config.ts'
import { STATES } from '../../decider/model.ts'
import { PROFILES, timingOf } from '../../decider/timing.ts'
import { readControl } from '../../decider/documents.ts'

const text = readFileSync('docs/decider.md', 'utf8')
const block = (language: string) => new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(text)?.[1] ?? ''

t.test('every key of the configuration is documented', t => {
  const keys = (schema: object, path: string): string[] => {
    const { properties, items } = schema as { properties?: Record<string, object>; items?: object }
    // A list of plain values is one key; one of mappings has theirs.
    if (items) return 'properties' in items ? keys(items, `${path}[]`) : [path]
    if (!properties) return [path]
    return Object.entries(properties).flatMap(([name, inner]) => keys(inner, path === '' ? name : `${path}.${name}`))
  }
  const reference = readFileSync('docs/configuration.md', 'utf8')
  for (const key of keys(deciderConfigSchema, '')) t.match(reference, `| \`${key}\` `)
  t.end()
})

t.test('every state is documented, and the profiles with their figures', t => {
  for (const state of STATES) t.match(text, `\`${state}\``)
  for (const profile of PROFILES) {
    const { heartbeatMs, deadAfterMs, pollMs } = timingOf(profile)
    const row = [heartbeatMs, deadAfterMs, pollMs].map(ms => `${ms / 1000} s`).join('\\s*\\|\\s*')
    t.match(text, new RegExp(`\`${profile}\`\\s*\\|\\s*${row}`))
  }
  t.end()
})

t.test('the examples are valid', t => {
  t.match(readDeciderConfig(block('yaml')), { ok: true })
  t.match(readControl(block('json'), 'rnd-runner'), { kind: 'read', control: { pause: { by: 'ann' } } })
  t.end()
})
