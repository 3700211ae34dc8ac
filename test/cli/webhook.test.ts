import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CA_SECRET, WEBHOOK_CONFIGURATION } from '../../certs/names.ts'
import { startApi } from '../support/kubernetes.ts'
import { changes } from '../support/scrape.ts'
import { call, createAuthority, createPair } from '../support/webhook.ts'
import { createFolder, launch, SIDECAR, startWebhookProgram } from '../support/webhook-program.ts'

const recorded = (name: string) => {
  const file = `test/recordings/kubernetes/admission-reviews/${name}.json`
  return (JSON.parse(readFileSync(file, 'utf8')) as { bodyText: string }).bodyText
}
const review = recorded('chart-default-release')
const P = 'gitlab_runner_hadr_webhook'

const authority = await createAuthority()
const ca = authority.certificate

async function pairFiles(t: Test): Promise<string> {
  const { certificate, key } = await createPair(authority)
  const folder = createFolder(t, { 'tls.crt': certificate, 'tls.key': key })
  return `certificates: {mode: files, cert: ${join(folder, 'tls.crt')}, key: ${join(folder, 'tls.key')}}`
}

t.test('a bad configuration ends with exit code 78 and names every mistake with its line', async t => {
  const yaml = 'listen: nowhere\ncertificates: {mode: files, cert: x}\nsidecar: {native: maybe}\nsurplus: 1\n'
  const folder = createFolder(t, { 'webhook.yaml': yaml })
  const { code, stderr } = await launch(t, ['--config', join(folder, 'webhook.yaml')]).ended
  t.equal(code, 78)
  t.match(stderr, /webhook\.yaml:1: listen must be/)
  t.match(stderr, /certificates\.key is required/)
  t.match(stderr, /sidecar\.image is required/)
  t.match(stderr, /webhook\.yaml:3: sidecar\.native must be/)
  t.match(stderr, /surplus/)
})

t.test('what makes a start useless ends with 78 and the mend', async t => {
  const folder = createFolder(t, {
    'webhook.yaml': SIDECAR,
    'ports.yaml': `${SIDECAR}\nlisten: :8443\nopsListen: 127.0.0.1:8443`,
    kubeconfig: 'clusters: []',
  })
  const config = ['--config', join(folder, 'webhook.yaml')]
  const cases: [string[], RegExp][] = [
    [['--config', join(folder, 'nothing.yaml')], /nothing\.yaml: cannot be read/],
    [config, /needs an API server: run in a pod, or give --kubeconfig \(this is no pod/],
    [[...config, '--kubeconfig', join(folder, 'nothing')], /--kubeconfig \(ENOENT/],
    [[...config, '--kubeconfig', join(folder, 'kubeconfig')], /names no cluster/],
    [['--config', join(folder, 'ports.yaml')], /ports\.yaml:3: opsListen must have another port than listen/],
  ]
  for (const [args, stderr] of cases) t.match(await launch(t, args).ended, { code: 78, stderr })
})

t.test('a bad command line ends with 2, help with 0 and names every environment variable', async t => {
  t.match(await launch(t, []).ended, { code: 2, stderr: /--config/ })
  t.match(await launch(t, ['--config', 'x', '--drain-seconds', 'long']).ended, { code: 2, stderr: /from 0 to 600/ })
  const help = await launch(t, ['webhook', '--help']).ended
  t.equal(help.code, 0)
  for (const name of ['HADR_CONFIG', 'HADR_KUBECONFIG', 'HADR_DRAIN_SECONDS', 'HADR_LOG_LEVEL']) {
    t.match(help.stderr, name)
  }
})

t.test(
  'with certificates from files it injects without any API server, counts, logs, and drains on SIGTERM',
  async t => {
    const yaml = `${await pairFiles(t)}\n${SIDECAR.replace('{', '{native: auto, ')}`
    const folder = createFolder(t, { 'webhook.yaml': `listen: 127.0.0.1:0\nopsListen: 127.0.0.1:0\n${yaml}\n` })
    const program = launch(t, ['--config', join(folder, 'webhook.yaml')], { HADR_DRAIN_SECONDS: '600' })
    await program.said(/native is auto, but with certificates from files no API server is asked/)
    await program.ready()
    const port = await program.port()
    const expected = {
      [`${P}_admissions_total{result="injected",reason="container"}`]: 1,
      [`${P}_exchanges_total{outcome="answered"}`]: 1,
      [`${P}_exchange_duration_seconds_count`]: 1,
    }
    let answer: Awaited<ReturnType<typeof call>> | undefined
    const found = await changes(await program.opsUrl(), expected, async () => {
      answer = await call({ port, ca, body: review })
    })
    const timeless = Object.entries(found).filter(([name]) => !/_bucket|_sum/.test(name))
    t.strictSame(Object.fromEntries(timeless), expected)
    t.match(answer, { status: 200, text: /"allowed":true,"patchType":"JSONPatch"/ })
    const line = await program.said(/^the pod is given its sidecar/)
    t.match(line, {
      level: 'info',
      program: 'webhook',
      uid: 'b430ba44-b3ca-4d83-9a0a-57828d632bd4',
      namespace: 'team-runners',
      pod: 'gl-gitlab-runner-5b9c5c4cbf-*',
      result: 'injected',
      reason: 'container',
      ms: Number,
    })

    program.kill('SIGTERM')
    await program.ready(/^draining$/)
    t.match(await call({ port, ca, body: review }), { status: 200, headers: { connection: 'close' } })
    program.kill('SIGTERM')
    t.match(await program.ended, { signal: 'SIGTERM', stderr: '' }, 'a second signal ends it at once')
  },
)

t.test('SIGTERM ends it with 0, with or without a certificate', async t => {
  const served = startWebhookProgram(t, `${await pairFiles(t)}\n${SIDECAR}`)
  await served.ready()
  served.kill('SIGTERM')
  t.match(await served.ended, { code: 0, stderr: '' })
  const waiting = startWebhookProgram(t, `certificates: {mode: files, cert: /nowhere, key: /nowhere}\n${SIDECAR}`)
  await waiting.ready(/ENOENT.*nowhere/)
  waiting.kill('SIGTERM')
  t.match(await waiting.ended, { code: 0, stderr: '' })
})

t.test('a port that is taken ends it with 1 and names the address', async t => {
  const holder = createServer().listen(0, '127.0.0.1')
  t.teardown(() => holder.close())
  await once(holder, 'listening')
  const taken = `127.0.0.1:${(holder.address() as AddressInfo).port}`
  const files = await pairFiles(t)
  for (const addresses of [`listen: ${taken}\nopsListen: 127.0.0.1:0`, `listen: 127.0.0.1:0\nopsListen: ${taken}`]) {
    const folder = createFolder(t, { 'webhook.yaml': `${addresses}\n${files}\n${SIDECAR}` })
    const program = launch(t, ['--config', join(folder, 'webhook.yaml'), '--drain-seconds', '0'])
    t.equal((await program.ended).code, 1)
    t.match(await program.said(/^cannot start: /), {
      level: 'error',
      msg: `EADDRINUSE: address already in use ${taken}`,
    })
  }
})

t.test(
  'with certificates of its own it is ready when the caBundle trusts it, and knows the cluster’s version',
  async t => {
    const api = await startApi(t)
    const namespace = 'gitlab-runner-hadr'
    const service = { namespace, name: 'gitlab-runner-hadr-webhook', path: '/mutate' }
    api.state.addNamespace(namespace)
    api.state.put('secrets', { metadata: { namespace, name: CA_SECRET } })
    const kubeconfig = join(createFolder(t, { kubeconfig: api.kubeconfig('test-token') }), 'kubeconfig')
    const yaml = SIDECAR.replace('{', '{native: auto, ')
    const program = startWebhookProgram(t, yaml, ['--kubeconfig', kubeconfig])
    await program.said(/could not be looked after/)
    await program.ready(/^no certificate yet$/)
    api.state.put('webhookConfigurations', {
      metadata: { name: WEBHOOK_CONFIGURATION },
      webhooks: [
        {
          name: 'inject.gitlab-runner-hadr.io',
          clientConfig: { service },
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
        },
      ],
    })
    await program.ready()
    const [webhook] = api.state.get('webhookConfigurations', '', WEBHOOK_CONFIGURATION)?.['webhooks'] as {
      clientConfig: { caBundle: string }
    }[]
    const bundle = Buffer.from(webhook?.clientConfig.caBundle ?? '', 'base64').toString()
    t.match(await program.said(/^the API server told its version/), { apiServer: '1.36', nativeSidecars: true })
    const port = await program.port()
    const servername = 'gitlab-runner-hadr-webhook.gitlab-runner-hadr.svc'
    t.match((await call({ port, ca: bundle, servername, body: review })).text, /"mode":"native"/)
    program.kill('SIGTERM')
    t.match(await program.ended, { code: 0, stderr: '' })
    t.notMatch(JSON.stringify(program.lines), 'PRIVATE KEY')
  },
)
