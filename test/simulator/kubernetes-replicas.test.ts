import t from 'tap'
import { rankForDeletion } from '../../simulator/kubernetes/replica-order.ts'
import { startReplicas } from '../../simulator/kubernetes/replicas.ts'
import { createKubernetes } from '../../simulator/kubernetes/core.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { createRandom } from '../support/random.ts'

interface Says {
  node?: string
  phase?: string
  ready?: boolean
  cost?: string
  readyAt?: string
  created?: string
}

const pod = (name: string, says: Says = {}) => ({
  metadata: {
    name,
    creationTimestamp: says.created ?? '2026-01-01T00:00:00Z',
    annotations: says.cost === undefined ? {} : { 'controller.kubernetes.io/pod-deletion-cost': says.cost },
  },
  spec: { nodeName: says.node ?? name },
  status: {
    phase: says.phase ?? 'Running',
    conditions: [
      {
        type: 'Ready',
        status: says.ready === false ? 'False' : 'True',
        lastTransitionTime: says.readyAt ?? '2026-01-01T00:00:00Z',
      },
    ],
  },
})

t.test('pods are given up in the order of the real ReplicaSet', t => {
  const pods = [
    pod('old'),
    pod('young', { created: '2026-01-02T00:00:00Z' }),
    pod('just-ready', { readyAt: '2026-01-03T00:00:00Z' }),
    pod('crowded-1', { node: 'crowd' }),
    pod('crowded-2', { node: 'crowd' }),
    pod('cheap', { cost: '-5' }),
    pod('dear', { cost: '7' }),
    pod('unready-and-dear', { ready: false, cost: '99' }),
    pod('unknown', { phase: 'Unknown', cost: '99' }),
    pod('pending', { phase: 'Pending', cost: '99' }),
    pod('nowhere', { phase: 'Pending', node: '', cost: '99' }),
  ]
  const order = rankForDeletion(pods.toReversed()).map(({ metadata }) => (metadata as { name: string }).name)
  t.same(order, [
    ...['nowhere', 'pending', 'unknown', 'unready-and-dear', 'cheap', 'crowded-1', 'crowded-2'],
    ...['just-ready', 'young', 'old', 'dear'],
  ])
  t.end()
})

t.test('a Deployment gets its pods, loses those that are too many, and its status follows', async t => {
  const clock = createManualClock()
  const core = createKubernetes({ clock })
  const { state } = core
  t.teardown(() => core.close())
  const labels = { app: 'x' }
  state.put('deployments', {
    metadata: { name: 'x', namespace: 'default' },
    spec: { replicas: 3, selector: { matchLabels: labels }, template: { metadata: { labels } } },
  })
  const leaving: (() => void)[] = []
  const replicas = startReplicas({
    state,
    namespace: 'default',
    deployment: 'x',
    kubelet: { start: (_pod, ready) => clock.after(1000, ready), stop: (_pod, gone) => leaving.push(gone) },
    clock,
    random: createRandom(3),
  })
  const status = () => state.get('deployments', 'default', 'x')?.['status']
  await clock.advance(0)
  t.match(status(), { replicas: 3, readyReplicas: 0, updatedReplicas: 3 })
  await clock.advance(1000)
  t.match(status(), { replicas: 3, readyReplicas: 3 })
  state.change('deployments', 'default', 'x', object => {
    Object.assign(object['spec'] as object, { replicas: 1 })
  })
  await clock.advance(0)
  t.equal(replicas.pods().length, 1)
  t.equal(state.list('pods', 'default').length, 3, 'two are still ending')
  for (const gone of leaving) gone()
  await clock.advance(0)
  t.equal(state.list('pods', 'default').length, 1)
  t.match(status(), { replicas: 1, readyReplicas: 1 })
  state.remove('pods', 'default', replicas.pods()[0] ?? '')
  await clock.advance(0)
  t.equal(replicas.pods().length, 1, 'what is lost is replaced')
  replicas.close()
})
