import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import t from 'tap'
import { parseSidecar } from '../../cli/sidecar-options.ts'
import { registerBuildInfo } from '../../lib/service/build-info.ts'
import { UNAVAILABLE_REASONS, UNKNOWN_REASONS } from '../../sidecar/availability.ts'
import { CHECKS, registerSidecarMetrics } from '../../sidecar/metrics.ts'

const page = readFileSync(new URL('../../docs/sidecar.md', import.meta.url), 'utf8')
/** Without the blanks that align its tables. */
const docs = page.replace(/ +/g, ' ')
/** All that stands as code in its tables. */
const documented = new Set([...docs.matchAll(/^\|.*\|$/gm)].flatMap(([row]) => row.match(/`[^`]+`/g) ?? []))

t.test('the page names every reason, with its verdict', t => {
  for (const reason of Object.keys(UNAVAILABLE_REASONS)) t.match(docs, `| unavailable | \`${reason}\` |`)
  for (const reason of Object.keys(UNKNOWN_REASONS)) t.match(docs, `| unknown | \`${reason}\` |`)
  t.end()
})

t.test('the page names every check', t => {
  for (const check of Object.keys(CHECKS)) t.match(docs, `| \`${check}\` |`)
  t.end()
})

t.test('the page names every flag, variable and default', t => {
  let help = ''
  parseSidecar(['--help'], {}, '', text => (help += text))
  const words = help.match(/(?<=^ {2}|, )--?[a-z][a-z-]*|\bHADR_\w+|METRICS_\w+|(?<=default )[^)]+/gm) ?? []
  t.ok(words.length > 30)
  for (const word of new Set(words)) {
    if (!['-h', '--help', '-V', '--version'].includes(word))
      t.ok(documented.has(`\`${word}\``) || docs.includes(`| ${word} |`), word)
  }
  t.end()
})

t.test('the page names every metric', t => {
  const registry = new Registry()
  registerSidecarMetrics(registry, { podName: '', podNamespace: '', podIp: '', groupId: '' }, () => {
    throw new Error('nobody scrapes')
  })
  registerBuildInfo(registry, 'sidecar', '1')
  const names = registry.getMetricsAsArray().map(({ name }) => name)
  t.equal(names.length, 14)
  for (const name of names) t.ok(documented.has(`\`${name}\``), name)
  t.end()
})
