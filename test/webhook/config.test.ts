import t from 'tap'
import { stringify } from 'yaml'
import { digestOf, readWebhookConfig } from '../../webhook/config.ts'
import { parseQuantity } from '../../webhook/quantity.ts'

const read = (config: object) => readWebhookConfig(stringify(config))

t.test('an image is all that is needed; the rest has defaults', t => {
  t.strictSame(read({ sidecar: { image: 'registry.example.com/gitlab-runner-hadr:1.0.0' } }), {
    ok: true,
    config: {
      listen: '0.0.0.0:8443',
      opsListen: '0.0.0.0:8081',
      namespace: 'gitlab-runner-hadr',
      certificates: { mode: 'self' },
      sidecar: {
        image: 'registry.example.com/gitlab-runner-hadr:1.0.0',
        native: false,
        runnerMetrics: 'auto',
        resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '100m', memory: '128Mi' } },
      },
    },
  })
  t.end()
})

t.test('all mistakes are told at once, each with its place', t => {
  const result = readWebhookConfig(`listen: nowhere
certificates: {mode: files, cert: /tls/tls.crt}
sidecar:
  image: "-f"
  gitlabURL: https://gitlab.example.com
  native: yes
`)
  t.strictSame(result.ok ? [] : result.mistakes.map(({ path, line }) => `${path} ${line}`), [
    'listen 1',
    'certificates.key 2',
    'sidecar.image 4',
    'sidecar.gitlabURL 5',
    'sidecar.native 6',
  ])
  t.match(result, { mistakes: [{}, {}, {}, { rule: /did you mean gitlabUrl/ }, {}] })
  t.end()
})

const mistakes: Record<string, [object, { path: string; rule: RegExp }]> = {
  'a token needs a GitLab': [{ tokenSecret: 'hadr' }, { path: 'sidecar.gitlabUrl', rule: /required/ }],
  'a password has no place in a URL': [
    { gitlabUrl: 'https://a:b@gitlab.example.com' },
    { path: 'sidecar.gitlabUrl', rule: /user or password/ },
  ],
  'a URL must not be expanded by Kubernetes': [
    { gitlabUrl: 'https://gitlab.example.com/$(POD_IP)' },
    { path: 'sidecar.gitlabUrl', rule: /\$\(/ },
  ],
  'a group is a number or a path': [{ gitlabGroupId: 'a b' }, { path: 'sidecar.gitlabGroupId', rule: /full path/ }],
  'a group is no flag': [{ gitlabGroupId: -3 }, { path: 'sidecar.gitlabGroupId', rule: /full path/ }],
  'a request above its limit is refused by every API server': [
    { resources: { requests: { memory: '1Gi' } } },
    { path: 'sidecar.resources.limits.memory', rule: /at least the request/ },
  ],
  'a limit of nothing starts nothing': [
    { resources: { requests: { cpu: '0' }, limits: { cpu: '0m' } } },
    { path: 'sidecar.resources.limits.cpu', rule: /more than nothing/ },
  ],
}

for (const [sentence, [sidecar, mistake]] of Object.entries(mistakes)) {
  t.test(sentence, t => {
    const result = read({ sidecar: { image: 'hadr:1', ...sidecar } })
    t.match(result, { ok: false, mistakes: [mistake] })
    t.equal(result.ok ? 0 : result.mistakes.length, 1)
    t.end()
  })
}

t.test('a digest tells configurations apart and stays the same for one', t => {
  const sidecar = (image: string) => {
    const result = read({ sidecar: { image } })
    return result.ok ? digestOf(result.config.sidecar) : t.fail('valid')
  }
  t.match(sidecar('hadr:1'), /^[0-9a-f]{12}$/)
  t.equal(sidecar('hadr:1'), sidecar('hadr:1'))
  t.not(sidecar('hadr:1'), sidecar('hadr:2'))
  t.end()
})

t.test('a quantity is one number however it is written', t => {
  t.equal(parseQuantity('100m'), parseQuantity('0.1'))
  t.equal(parseQuantity('300m'), parseQuantity(0.3))
  t.equal(parseQuantity('1Gi'), parseQuantity('1024Mi'))
  t.equal(parseQuantity('1e3'), parseQuantity('1k'))
  t.equal(parseQuantity(2n), 2)
  t.equal(parseQuantity('5E'), 5e18)
  for (const wrong of ['', '1 Gi', '-1', 'lots', '1KiB', '0x10', null, undefined, {}, Infinity]) {
    t.equal(parseQuantity(wrong), undefined, JSON.stringify(wrong))
  }
  t.end()
})
