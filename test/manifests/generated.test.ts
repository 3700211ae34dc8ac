import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { artefacts } from '../../manifests/generate/artefacts.ts'
import { kustomize, lacksKubectl } from '../support/kubectl.ts'

t.test('what is generated is as the code would make it now (npm run generate)', async t => {
  const made = await artefacts()
  t.equal(made.size, 7)
  for (const [path, text] of made) t.equal(readFileSync(path, 'utf8'), text, path)
})

t.test('the PrometheusRule holds exactly the groups of the plain file', t => {
  const read = (name: string) => parse(readFileSync(`manifests/prometheus/${name}`, 'utf8')) as Record<string, object>
  t.same(read('prometheus-rule.yaml')['spec'], read('rules.yaml'))
  t.end()
})

t.test('every dashboard is a ConfigMap that Grafana’s sidecar finds', { skip: lacksKubectl() }, async t => {
  const maps = await kustomize('manifests/grafana')
  t.equal(maps.length, 4)
  for (const map of maps) {
    t.match(map, { kind: 'ConfigMap', metadata: { labels: { grafana_dashboard: '1' } } })
    for (const text of Object.values(map['data'] as Record<string, string>)) {
      t.match(JSON.parse(text), { uid: /^gitlab-runner-hadr-/, panels: Array })
    }
  }
})
