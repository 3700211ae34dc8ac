import { readFileSync } from 'node:fs'
import { readDeciderConfig } from '../../../decider/config.ts'
import { readWebhookConfig } from '../../../webhook/config.ts'
import { mutatedTexts } from '../../support/mutations.ts'
import type { FuzzTarget } from '../target.ts'

const webhook = readFileSync('manifests/base/webhook.yaml', 'utf8')
const decider = `cluster: a
gitlab: {url: https://gitlab.example.com, group: 33, project: 101, tokenFile: /var/run/secrets/hadr/token}
prometheus: {url: http://prometheus.monitoring:9090}
pools:
  - mainTag: rnd-runner
    clusters: [{name: a, tag: runner-a, priority: 2}, {name: b, tag: runner-b}]
`
const words = [
  '&a',
  '*a',
  '<<: *a',
  '? ',
  '!!binary ',
  '---',
  '{[',
  '__proto__: ',
  '1e999',
  '- ',
  ': ',
  '|\n',
  '%YAML 9',
]

/** Configuration files: always a configuration, or mistakes that say where. */
export const configuration: FuzzTarget = {
  name: 'configuration',
  input: mutatedTexts([webhook, decider], words),
  check: input => {
    const results = [readWebhookConfig(input), readDeciderConfig(input)]
    for (const result of results) {
      if (!result.ok && result.mistakes.length === 0) throw new Error('refused without a mistake')
    }
    return results.some(({ ok }) => ok) ? 'accepted' : 'refused'
  },
}
