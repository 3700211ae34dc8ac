import { readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { readDeciderConfig } from '../../decider/config.ts'
import { createScaler, rivalOf } from '../../decider/fleet/scaler.ts'
import { metricsOfPrograms } from '../../docs/generate/catalogue.ts'
import type { Grant } from '../../simulator/kubernetes/access.ts'
import { startReplicas } from '../../simulator/kubernetes/replicas.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { open, startApi } from '../support/kubernetes.ts'
import { lacksKubectl } from '../support/kubectl.ts'
import { metricsIn } from '../support/rules.ts'
import { at, render } from './rendering.ts'

const skip = lacksKubectl()
const METRIC = 'gitlab_runner_hadr_decider_desired_replicas'
const NAMESPACE = 'gitlab-runners'
const DEPLOYMENT = 'ci-gitlab-runner'
const signal = new AbortController().signal

t.test('the ScaledObject asks for the exported number, and takes no answer for zero', { skip }, async t => {
  const object = (await render('manifests/fleet/keda')).the('ScaledObject')
  t.match(object, {
    metadata: { namespace: NAMESPACE },
    spec: {
      scaleTargetRef: { name: DEPLOYMENT },
      fallback: { behavior: 'currentReplicasIfHigher' },
      triggers: [
        { type: 'prometheus', metricType: 'AverageValue', metadata: { threshold: '1', ignoreNullValues: 'false' } },
      ],
    },
  })
  const query = String(at(object, 'spec.triggers.0.metadata.query'))
  t.same(metricsIn(query), [METRIC])
  const labels = metricsOfPrograms().flatMap(({ metrics }) => metrics.filter(({ name }) => name === METRIC))[0]?.labels
  t.same([...query.matchAll(/(\w+)="/g)].map(([, label]) => label).sort(), [...(labels ?? [])].sort())
})

t.test('the HPA follows the same number, by the adapter’s rule', { skip }, async t => {
  const rendering = await render('manifests/fleet/hpa')
  const object = rendering.the('HorizontalPodAutoscaler')
  t.equal(at(object, 'apiVersion'), 'autoscaling/v2')
  t.match(at(object, 'spec.metrics.0.external'), {
    metric: { name: METRIC, selector: { matchLabels: { pool: 'rnd-runner', cluster: 'a' } } },
    target: { type: 'AverageValue', averageValue: '1' },
  })
  const values = parse(readFileSync('manifests/fleet/hpa/prometheus-adapter.yaml', 'utf8')) as unknown
  t.equal(at(values, 'rules.external.0.seriesQuery'), METRIC)
})

t.test('each of the two is found as somebody else who scales the Deployment', { skip }, async t => {
  const api = await startApi(t)
  const { client } = await open(t, api)
  const target = { namespace: NAMESPACE, deployment: DEPLOYMENT }
  t.equal(await rivalOf(client, target), undefined)
  api.state.put('horizontalPodAutoscalers', (await render('manifests/fleet/hpa')).the('HorizontalPodAutoscaler'))
  t.match(await rivalOf(client, target), /^HorizontalPodAutoscaler ci-gitlab-runner scales Deployment/)
  api.state.put('scaledObjects', (await render('manifests/fleet/keda')).the('ScaledObject'))
  t.match(
    await rivalOf(client, target),
    /^ScaledObject ci-gitlab-runner scales Deployment .*: set fleet\.scale to export/,
  )
  t.equal(await rivalOf(client, { ...target, deployment: 'another' }), undefined)
})

t.test('the rights of the component are enough to scale, and for no other Deployment', { skip }, async t => {
  const role = (await render(userFolder(t))).the('Role', 'gitlab-runner-hadr-decider-fleet')
  const api = await startApi(t, { rbac: true })
  api.state.addNamespace(NAMESPACE)
  const rules = role['rules'] as Grant['rules']
  api.state.addToken('decider', { username: 'decider' }, [{ role: 'fleet', namespace: NAMESPACE, rules }])
  for (const name of [DEPLOYMENT, 'another']) {
    const labels = { app: name }
    api.state.put('deployments', {
      metadata: { name, namespace: NAMESPACE },
      spec: { replicas: 3, selector: { matchLabels: labels }, template: { metadata: { labels } } },
    })
    startReplicas({
      state: api.state,
      namespace: NAMESPACE,
      deployment: name,
      kubelet: { start: (_pod, ready) => ready(), stop: (_pod, gone) => gone() },
      clock: systemClock,
      random: Math.random,
    })
  }
  const { client } = await open(t, api, { token: 'decider' })
  const scaler = createScaler(client, { namespace: NAMESPACE, deployment: DEPLOYMENT })
  t.equal(await scaler.rival(signal), undefined)
  await scaler.grow(3, 4, signal)
  await new Promise(resolve => setImmediate(resolve))
  const scale = await scaler.read(signal)
  t.equal(scale.wanted, 4)
  const [busy] = api.state
    .list('pods', NAMESPACE)
    .map(pod => String(at(pod, 'metadata.name')))
    .filter(name => name.startsWith(DEPLOYMENT))
  t.equal(await scaler.shrink(scale, (_namespace, pod) => (pod === busy ? 1 : 0), signal), undefined)
  t.equal((await scaler.read(signal)).wanted, 3)
  t.ok(api.state.get('pods', NAMESPACE, busy ?? ''), 'the pod with jobs is still there')
  await t.rejects(
    createScaler(client, { namespace: NAMESPACE, deployment: 'another' }).grow(3, 4, signal),
    /403|forbidden/i,
  )
})

t.test('the configuration in the documentation is valid, with patch and with export', t => {
  const text = readFileSync('docs/fleet.md', 'utf8')
  const blocks = [...text.matchAll(/```yaml\n(cluster:[^]*?)```/g)].map(([, block = '']) => block)
  t.ok(blocks.length >= 2)
  for (const block of blocks) t.match(readDeciderConfig(block), { ok: true }, block)
  t.end()
})

/** A user's own folder: the decider with the rights of a fleet. */
function userFolder(t: Test): string {
  const folder = t.testdir()
  const path = (name: string) => relative(folder, join('manifests', name))
  const kustomization = {
    resources: [path('decider')],
    components: [path('components/decider-workloads'), path('components/decider-fleet')],
  }
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization))
  return folder
}
