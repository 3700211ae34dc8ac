import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { metricsOfPrograms } from '../../docs/generate/catalogue.ts'
import { ALERT_KINDS } from '../../decider/model.ts'
import { requirePromtool } from '../support/prometheus.ts'
import { alertRules, metricsIn, RULES_FILE } from '../support/rules.ts'

const CASES_FILE = 'test/manifests/rules.yaml'
const run = promisify(execFile)
const rules = alertRules()
const names = rules.map(rule => rule.alert)

async function promtool(t: Test, ...args: string[]): Promise<void> {
  if (!(await requirePromtool(t))) return
  const { stdout } = await run('promtool', args, { timeout: 60_000 })
  t.match(stdout, /SUCCESS/)
}

t.test('Prometheus understands the rules', t => promtool(t, 'check', 'rules', RULES_FILE))

t.test('each alert fires when it should and is silent when it should be', { timeout: 60_000 }, t =>
  promtool(t, 'test', 'rules', CASES_FILE),
)

t.test('each alert has a case in which it fires and one in which it stays silent', t => {
  const { tests } = parse(readFileSync(CASES_FILE, 'utf8')) as {
    tests: { alert_rule_test: { alertname: string; exp_alerts: object[] }[] }[]
  }
  const cases = tests.flatMap(each => each.alert_rule_test)
  for (const name of names) {
    const own = cases.filter(each => each.alertname === name)
    t.ok(
      own.some(each => each.exp_alerts.length > 0),
      `${name} fires`,
    )
    t.ok(
      own.some(each => each.exp_alerts.length === 0),
      `${name} stays silent`,
    )
  }
  t.same(
    cases.map(each => each.alertname).filter(name => !names.includes(name)),
    [],
  )
  t.end()
})

t.test('each alert says how grave it is, what it means in plain words, and where its runbook is', t => {
  t.equal(new Set(names).size, names.length)
  for (const { alert, labels, annotations } of rules) {
    t.ok(['critical', 'warning'].includes(labels['severity'] ?? ''), alert)
    t.match(annotations, { summary: /\S/, description: /\S.*\.$/ }, alert)
    t.equal(annotations['runbook_url'], `docs/runbooks.md#${alert.toLowerCase()}`)
  }
  t.end()
})

t.test('each alert has its runbook, with everything a person needs at night, and each runbook its alert', t => {
  const [, ...sections] = readFileSync('docs/runbooks.md', 'utf8').split(/^## (?=Hadr)/m)
  t.same(
    sections.map(section => section.slice(0, section.indexOf('\n'))),
    names,
  )
  for (const section of sections) {
    const parts = [...section.matchAll(/^\*\*(.+?)\*\*/gm)].map(([, title]) => title)
    t.same(parts, ['What it means.', 'Who serves now.', 'What to do.', 'When to ignore it.'], section.slice(0, 40))
  }
  t.end()
})

t.test('the runbook of the decider’s complaints explains every kind that the alert is about', t => {
  const page = readFileSync('docs/runbooks.md', 'utf8')
  const rule = rules.find(each => each.alert === 'HadrDeciderComplains')
  const left = /kind!~"([^"]*)"/.exec(rule?.expr ?? '')?.[1]?.split('|') ?? []
  t.ok(left.length > 0)
  for (const kind of ALERT_KINDS) t.equal(page.includes(`| \`${kind}\` `), !left.includes(kind), kind)
  t.end()
})

t.test('each metric in a rule is one that a program or kube-state-metrics exposes', t => {
  const own = metricsOfPrograms().flatMap(({ metrics }) =>
    metrics.flatMap(({ name, type }) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  )
  // The rule of runner pods without sidecar is about two metrics by a pattern, which leaves no word.
  const others = ['up', 'kube_pod_container_info', 'kube_pod_status_phase']
  const known = new Set([...own, ...others])
  for (const { alert, expr } of rules) {
    const used = metricsIn(expr)
    t.ok(used.length > 0, alert)
    for (const metric of used) t.ok(known.has(metric), `${alert}: ${metric}`)
  }
  t.end()
})
