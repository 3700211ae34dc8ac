import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { buildAuthority } from '../../certs/build.ts'
import { generateRsaKey, randomSerial } from '../../certs/keys.ts'
import { CA_SECRET, WEBHOOK_CONFIGURATION } from '../../certs/names.ts'
import { createKubernetesClient, type KubernetesClient } from '../../lib/kubernetes/client.ts'
import type { KubernetesObject } from '../../lib/kubernetes/types.ts'
import { systemClock, withDeadline } from '../../lib/service/clock.ts'
import { startRealCluster, startSimulatedCluster, type Cluster } from '../support/cluster.ts'
import { scrape } from '../support/scrape.ts'
import { startService } from '../support/service.ts'
import { createFolder, SIDECAR, startWebhookProgram, type WebhookProgram } from '../support/webhook-program.ts'

const clock = systemClock
const NAMESPACE = 'gitlab-runner-hadr'
/** A caBundle settles in 0.3 s instead of 5 min, and replicas look every 30 ms. */
const TIME_SCALE = '0.001'

interface PodKind {
  labels: Record<string, string>
  spec?: Record<string, unknown>
  namespace?: string
  injected: boolean
}

const runner = { chart: 'gitlab-runner-0.80.0', app: 'ci-gitlab-runner' }
const job = { 'job.runner.gitlab.com/pod': 'runner-x-project-1-concurrent-0' }

/** What is created again and again, and what must become of it. */
const PODS: Readonly<Record<string, PodKind>> = {
  chart: { labels: runner, injected: true },
  operator: { labels: { 'app.kubernetes.io/component': 'runner' }, injected: true },
  'our-label': { labels: { 'gitlab-runner-hadr.io/inject': 'enabled' }, injected: true },
  native: { labels: { ...runner, native: 'true' }, injected: true },
  'without-token': { labels: runner, spec: { automountServiceAccountToken: false }, injected: true },
  'opted-out': { labels: { ...runner, 'gitlab-runner-hadr.io/inject': 'disabled' }, injected: false },
  job: { labels: job, spec: { restartPolicy: 'Never' }, injected: false },
  'spoofed-job': { labels: { ...runner, ...job }, spec: { restartPolicy: 'Never' }, injected: false },
  'old-spoofed-job': { labels: runner, spec: { restartPolicy: 'Never' }, injected: false },
  'host-network': { labels: runner, spec: { hostNetwork: true }, injected: false },
  stranger: { labels: { app: 'shop' }, injected: false },
  elsewhere: { labels: runner, namespace: 'not-opted-in', injected: false },
}

function podOf(name: string, { labels, spec = {} }: PodKind): object {
  const native = labels['native'] === 'true'
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      labels,
      ...(native && { annotations: { 'gitlab-runner-hadr.io/native': 'true' } }),
    },
    spec: { containers: [{ name: 'main', image: 'registry.example.com/app:1' }], ...spec },
  }
}

interface Container {
  name: string
  args?: string[]
}

function sidecarsOf({ spec }: KubernetesObject): Container[] {
  const { containers, initContainers = [] } = spec as { containers: Container[]; initContainers?: Container[] }
  return [...containers, ...initContainers].filter(({ name }) => name === 'gitlab-runner-hadr')
}

/** Creates pods of every kind, over and over, until it is stopped; then answers with what was not as it must be. */
function startCreating({ admin }: Cluster) {
  const wrong: string[] = []
  let created = 0
  let stopped = false
  async function creator(id: number): Promise<void> {
    for (let round = 0; !stopped; round++) {
      for (const [title, kind] of Object.entries(PODS)) {
        const name = `${title}-${id}-${round}`
        const path = `/api/v1/namespaces/${kind.namespace ?? 'runners'}/pods`
        const call = { method: 'POST', path, subject: name, body: podOf(name, kind) } as const
        try {
          const pod = (await admin.call(call)) as KubernetesObject
          if (sidecarsOf(pod).length !== Number(kind.injected)) wrong.push(name)
        } catch (error) {
          wrong.push(`${name}: ${String(error)}`)
        }
        created++
      }
    }
  }
  const creators = [creator(1), creator(2), creator(3)]
  return {
    created: () => created,
    stop: async () => {
      stopped = true
      await Promise.all(creators)
      return { created, wrong }
    },
  }
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  await withDeadline(clock, 60_000, async signal => {
    while (!(await holds())) await clock.sleep(20, signal)
  }).catch((error: unknown) => {
    throw new Error(`not seen: ${what}`, { cause: error })
  })
}

/** Begins a rotation before its time: a successor in the Secret is all that the replicas wait for. */
async function addSuccessor(client: KubernetesClient): Promise<string> {
  const key = await generateRsaKey()
  const nowMs = clock.wallMs()
  const validity = { notBeforeMs: nowMs - 300_000, notAfterMs: nowMs + 24 * 3_600_000 }
  const certificate = buildAuthority({ key, serial: randomSerial(), ...validity })
  const secret = await client.secret(NAMESPACE, CA_SECRET)
  const encode = (text: string) => Buffer.from(text).toString('base64')
  const next = { 'next-ca.crt': encode(certificate), 'next-ca.key': encode(key) }
  await client.replaceSecret({ ...secret, data: { ...secret.data, ...next } })
  return certificate
}

async function playInstallation(t: Test, startCluster: (t: Test, servicePort: number) => Promise<Cluster>) {
  const endpoints = new Set<number>()
  const cluster = await startCluster(t, await startService(t, endpoints))
  const { admin } = cluster
  await cluster.addNamespace('runners', { 'gitlab-runner-hadr.io/inject': 'enabled' })
  await cluster.addNamespace('not-opted-in', {})
  const client = createKubernetesClient({ connection: admin, clock })

  const kubeconfig = join(createFolder(t, { kubeconfig: cluster.kubeconfig }), 'kubeconfig')
  const startReplica = async (): Promise<WebhookProgram> => {
    const args = ['--kubeconfig', kubeconfig, '--time-scale', TIME_SCALE, '--drain-seconds', '5']
    const replica = startWebhookProgram(t, SIDECAR, args)
    await replica.ready()
    endpoints.add(await replica.port())
    return replica
  }
  /** As a rollout does: told to stop, seen as not ready, and only then taken out of the Service. */
  const stopReplica = async (replica: WebhookProgram) => {
    const port = await replica.port()
    replica.kill('SIGTERM')
    await replica.ready(/^draining$/)
    await clock.sleep(200)
    endpoints.delete(port)
    return replica.ended
  }
  // The Secret of the manifests is empty: the two race for the first authority.
  const served = await Promise.all([startReplica(), startReplica()])
  for (const replica of served) await replica.said(/^the API server told its version/)

  const bundles = async () => {
    const { webhooks } = (await client.webhookConfiguration(WEBHOOK_CONFIGURATION)) as unknown as {
      webhooks: { clientConfig: { caBundle: string } }[]
    }
    return webhooks.map(({ clientConfig }) => Buffer.from(clientConfig.caBundle, 'base64').toString())
  }
  const signing = async () => {
    const { data = {} } = await client.secret(NAMESPACE, CA_SECRET)
    return Buffer.from(data['ca.crt'] ?? '', 'base64').toString()
  }
  const old = await signing()
  const leavesOf = async (replica: WebhookProgram) => {
    const samples = await scrape(await replica.opsUrl())
    return samples.get('gitlab_runner_hadr_webhook_certificate_changes_total{result="taken"}') ?? 0
  }
  // API servers learn of a changed configuration in their own time.
  const probe = { method: 'POST', path: '/api/v1/namespaces/runners/pods', query: { dryRun: 'All' } } as const
  await until('the webhook is called', async () => {
    const body = podOf('probe', { labels: runner, injected: true })
    return sidecarsOf((await admin.call({ ...probe, subject: 'probe', body })) as KubernetesObject).length === 1
  })

  const creating = startCreating(cluster)
  await until('pods are created', () => creating.created() > 50)
  const leavesBefore = await Promise.all(served.map(leavesOf))
  const renewed = await addSuccessor(client)
  await until('the successor signs', async () => (await signing()).trim() === renewed.trim())
  for (const [index, replica] of served.entries())
    await until('a leaf of the successor', async () => (await leavesOf(replica)) > (leavesBefore[index] ?? 0))
  for (const bundle of await bundles()) {
    t.match(bundle, new X509Certificate(old).toString().trim(), 'the old authority is trusted while its leaves live')
    t.match(bundle, new X509Certificate(renewed).toString().trim())
  }

  const [first, second] = served
  const beforeStop = creating.created()
  const ending = stopReplica(first)
  await startReplica()
  t.match(await ending, { code: 0, stderr: '' })
  await until('pods were created past the stop', () => creating.created() > beforeStop + 50)
  t.match(await stopReplica(second), { code: 0, stderr: '' })
  const { created, wrong } = await creating.stop()

  t.strictSame(wrong, [], `of ${created} pods`)
  t.strictSame(cluster.forgiven() ?? [], [], 'no call of the webhook failed')
  const errors = [first, second].flatMap(({ lines }) => lines.filter(({ level }) => level === 'error'))
  t.strictSame(errors, [])
  for (const [title, { namespace = 'runners', injected }] of Object.entries(PODS)) {
    const path = `/api/v1/namespaces/${namespace}/pods/${title}-1-0`
    const pod = (await admin.call({ method: 'GET', path, subject: title })) as KubernetesObject
    const sidecars = sidecarsOf(pod)
    t.equal(sidecars.length, Number(injected), `${title}, read back`)
    if (injected) t.equal(sidecars[0]?.args?.[0], 'sidecar')
  }
}

const TITLE = 'runner pods get their sidecar, others stay as they are, while the CA rotates and replicas come and go'
const assets = process.env['KUBEBUILDER_ASSETS']

if (assets === undefined || assets === '') {
  t.test(`${TITLE}, on the simulated API server`, { timeout: 180_000 }, async t => {
    await playInstallation(t, startSimulatedCluster)
    t.pass('a real kube-apiserver', { skip: 'KUBEBUILDER_ASSETS is not set; the simulated API server answered' })
  })
} else {
  t.test(`${TITLE}, on a real kube-apiserver`, { timeout: 300_000 }, t =>
    playInstallation(t, (t, port) => startRealCluster(t, port, assets)),
  )
}
