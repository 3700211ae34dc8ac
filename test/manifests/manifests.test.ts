import { readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t, { type Test } from 'tap'
import { lacksKubectl } from '../support/kubectl.ts'
import { checkAll, configurationOf, NAMESPACE, WEBHOOK } from './checks.ts'
import { configurationText, podTemplate, portNamed, render } from './rendering.ts'

const FOLDERS = [
  'base',
  'overlays/cert-manager',
  'overlays/port-10250',
  'overlays/host-network',
  'overlays/missed-pods',
]

const skip = lacksKubectl()

for (const folder of FOLDERS) {
  t.test(
    `manifests/${folder} renders to objects that agree with each other and with the program`,
    { skip },
    async t => {
      await checkAll(t, await render(`manifests/${folder}`))
    },
  )
}

t.test('each overlay differs from the base in what it is for', { skip }, async t => {
  const [base, certManager, port10250, hostNetwork, missedPods] = await Promise.all(
    FOLDERS.map(folder => render(`manifests/${folder}`)),
  )
  if (!base || !certManager || !port10250 || !hostNetwork || !missedPods) throw new Error('a folder is missing')
  t.equal(configurationOf(base).certificates.mode, 'self')
  t.equal(configurationOf(certManager).certificates.mode, 'files')
  t.equal(portNamed(podTemplate(port10250).container, 'webhook'), 10250)
  t.match(podTemplate(hostNetwork).spec, { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' })
  t.same(hostNetwork.all('NetworkPolicy'), [])
  t.ok(missedPods.the('ValidatingAdmissionPolicy', 'gitlab-runner-hadr-missing-sidecar'))
  t.ok(missedPods.the('ValidatingAdmissionPolicyBinding'))
  t.same(
    missedPods.objects.filter(object => !String(object['kind']).startsWith('Validating')),
    base.objects,
  )
})

const CONFIGURATIONS: Readonly<Record<string, { components: string[]; listen: string }>> = {
  'cert-manager on a private GKE cluster': {
    components: ['cert-manager', 'port-10250', 'missed-pods'],
    listen: 'listen: 0.0.0.0:10250',
  },
  'cert-manager on the host network': {
    components: ['host-network', 'cert-manager', 'missed-pods'],
    listen: 'listen: 0.0.0.0:18443\nopsListen: 0.0.0.0:18081',
  },
}

for (const [name, { components, listen }] of Object.entries(CONFIGURATIONS)) {
  t.test(`components are combined in a folder of the user's own: ${name}`, { skip }, async t => {
    const certificates = 'certificates: { mode: files, cert: /etc/hadr-tls/tls.crt, key: /etc/hadr-tls/tls.key }'
    const configuration = `${listen}\n${certificates}\nsidecar: { image: registry.example.org/hadr:2.0.0 }\n`
    const rendering = await render(userFolder(t, components, configuration))
    await checkAll(t, rendering)
    t.equal(configurationText(rendering), configuration)
    t.equal(podTemplate(rendering).container['image'], 'registry.example.org/hadr:2.0.0')
    t.equal(rendering.all('ValidatingAdmissionPolicy').length, 1)
  })
}

t.test('a changed configuration gets a name of its own, so that it rolls out', { skip }, async t => {
  const nameOfVolume = async (image: string) =>
    podTemplate(await render(userFolder(t, [], `sidecar: { image: ${image} }\n`))).spec['volumes']
  t.notSame(await nameOfVolume('a:1'), await nameOfVolume('a:2'))
})

t.test('the comment of each component says what its overlay configures', t => {
  for (const component of ['cert-manager', 'port-10250', 'host-network']) {
    const comment = readFileSync(`manifests/components/${component}/kustomization.yaml`, 'utf8').replaceAll('\n#', '')
    const configuration = readFileSync(`manifests/overlays/${component}/webhook.yaml`, 'utf8')
    const base = readFileSync('manifests/base/webhook.yaml', 'utf8').split('\n')
    const changed = configuration.split('\n').filter(line => !base.includes(line))
    t.ok(changed.length > 0)
    for (const line of changed) t.ok(comment.includes(line.trim()), `${component}: ${line.trim()}`)
  }
  t.end()
})

/** A user's own folder: the base, some of the components, an image and a configuration. */
function userFolder(t: Test, components: readonly string[], configuration: string): string {
  const folder = t.testdir({ 'webhook.yaml': configuration })
  const path = (name: string) => relative(folder, join('manifests', name))
  const kustomization = {
    resources: [path('base')],
    components: components.map(name => path(`components/${name}`)),
    images: [{ name: 'gitlab-runner-hadr', newName: 'registry.example.org/hadr', newTag: '2.0.0' }],
    configMapGenerator: [{ name: WEBHOOK, namespace: NAMESPACE, behavior: 'replace', files: ['webhook.yaml'] }],
  }
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization))
  return folder
}
