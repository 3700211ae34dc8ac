import { readFileSync } from 'node:fs'

const HEAD = `# Made from rules.yaml by \`npm run generate\`: the same groups, for the Prometheus Operator.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: gitlab-runner-hadr
  namespace: gitlab-runner-hadr
  labels:
    app.kubernetes.io/name: gitlab-runner-hadr
spec:
`

/** The rules as a custom resource: their text, indented, so that comments stay and nothing can differ. */
export function prometheusRule(): string {
  const rules = readFileSync(new URL('../prometheus/rules.yaml', import.meta.url), 'utf8')
  const groups = rules.slice(rules.indexOf('\ngroups:') + 1)
  return HEAD + groups.replace(/^(?=.)/gm, '  ')
}
