import t from 'tap'
import { createKubernetes } from '../../simulator/kubernetes/core.ts'
import { createTestAuthority } from '../support/authority.ts'
import { createRandom } from '../support/random.ts'
import { comparable, readRecordings, type Body } from '../support/recordings.ts'
import { startWebhook } from '../support/webhook-server.ts'

interface Row {
  name: string
  response: { status: number; body: Body }
}

const TITLE = /^calling a webhook whose caBundle holds (.*), failurePolicy (\w+)$/
const rows = (readRecordings('objects.jsonl') as Row[]).filter(({ name }) => TITLE.test(name))
const authority = createTestAuthority('ca-bundles')
const leaf = authority.issue({ names: ['w.objects.svc'] })

const BUNDLES: Readonly<Record<string, string>> = {
  'no PEM': 'hello',
  'a good and a broken certificate': `${authority.certPem}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n`,
}

void t.test('a webhook is called through each recorded caBundle with the same outcome', async t => {
  t.equal(rows.length, 4)
  for (const { name, response } of rows) {
    const [, holding = '', failurePolicy = ''] = TITLE.exec(name) ?? []
    const webhook = await startWebhook(t, leaf, (_request, answer, body) => {
      const { request } = JSON.parse(body) as { request: { uid: string } }
      const review = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' }
      answer.end(JSON.stringify({ ...review, response: { uid: request.uid, allowed: true } }))
    })
    const core = createKubernetes({ random: createRandom(1) })
    t.teardown(() => core.close())
    core.state.addService('objects', 'w', () => ({ host: '127.0.0.1', port: webhook.port }))
    core.state.put('webhookConfigurations', {
      metadata: { name: 'hadr' },
      webhooks: [
        {
          name: 'inject.gitlab-runner-hadr.io',
          clientConfig: {
            caBundle: Buffer.from(BUNDLES[holding] ?? '').toString('base64'),
            service: { namespace: 'objects', name: 'w', path: '/' },
          },
          failurePolicy,
          rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
        },
      ],
    })
    const pod = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'registry.example.com/app:1' }] } }
    const answer = await core.handle({
      method: 'POST',
      path: '/api/v1/namespaces/default/pods',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(pod),
    })
    const ours = JSON.parse(answer.body) as Body
    t.equal(answer.status, response.status, name)
    if (response.status === 201) t.equal(ours['kind'], response.body['kind'], name)
    else t.same(comparable(ours), comparable(response.body), name)
    t.equal(webhook.connections(), holding === 'no PEM' ? 0 : 1, name)
  }
})
