import t from 'tap'
import { withWorkloads } from '../../decider/observe/capacity.ts'
import { createWorkloadReader, workloadsOf } from '../../decider/observe/workloads.ts'
import { silentLog } from '../../lib/service/log.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { open, startApi } from '../support/kubernetes.ts'
import { poolOf } from './cluster-truth.ts'

const pool = { ...poolOf('a'), workloads: { selector: 'app=runner' } }
const signal = new AbortController().signal
const labels = { app: 'runner' }
const settled = (replicas: number) => ({ replicas, updatedReplicas: replicas, readyReplicas: replicas })

t.test('Deployments and StatefulSets with the selector are summed up, and others are not', async t => {
  const api = await startApi(t)
  const { client } = await open(t, api)
  const put = (kind: 'deployments' | 'statefulsets', name: string, replicas: number, more = labels) =>
    api.state.put(kind, {
      metadata: { name, namespace: 'default', labels: more },
      spec: { replicas },
      status: settled(replicas),
    })
  put('deployments', 'one', 3)
  put('statefulsets', 'two', 2)
  put('deployments', 'other', 7, { app: 'else' })
  const read = createWorkloadReader({
    kubernetes: client,
    namespace: 'default',
    clock: createManualClock(),
    log: silentLog,
  })
  t.match(await read(pool, signal), { desired: 5, present: 5 })
  t.equal(await read({ ...pool, workloads: { selector: 'app=nobody' } }, signal), undefined, 'none is no zero')
  t.equal(await read({ ...poolOf('a') }, signal), undefined)
})

t.test('what was read last stands in for ten minutes, then nobody knows', async t => {
  const clock = createManualClock()
  let works = true
  const answer = () =>
    works
      ? Promise.resolve([{ metadata: { name: 'x' }, spec: { replicas: 4 }, status: settled(4) }])
      : Promise.reject(new Error('down'))
  const kubernetes = { deployments: answer, statefulSets: () => Promise.resolve([]) }
  const read = createWorkloadReader({ kubernetes, namespace: 'ci', clock, log: silentLog })
  t.match(await read(pool, signal), { desired: 4 })
  works = false
  await clock.advance(599_000)
  t.match(await read(pool, signal), { desired: 4 })
  await clock.advance(2000)
  t.equal(await read(pool, signal), undefined)
})

t.test('an API server that does not answer costs a cycle two seconds at most', async t => {
  const clock = createManualClock()
  const never = (_namespace: string, _selector: string, deadline?: AbortSignal) =>
    new Promise<never>((_resolve, reject) => {
      deadline?.addEventListener('abort', () => reject(deadline.reason as Error))
    })
  const read = createWorkloadReader({
    kubernetes: { deployments: never, statefulSets: never },
    namespace: 'ci',
    clock,
    log: silentLog,
  })
  const reading = read(pool, signal)
  await clock.advance(2000)
  t.equal(await reading, undefined)
})

t.test('a rollout is seen, failing pods and a rollout that was given up are none', t => {
  const of = (status: object, more: object = {}) =>
    workloadsOf([
      {
        metadata: { name: 'x', generation: 2 },
        spec: { replicas: 4 },
        status: { observedGeneration: 2, ...status },
        ...more,
      },
    ])
  t.match(of(settled(4)), { updating: false })
  t.match(of({ ...settled(4), readyReplicas: 1 }), { updating: false })
  t.match(of({ ...settled(4), updatedReplicas: 1 }), { updating: true })
  t.match(of({ ...settled(4), replicas: 5 }), { updating: true })
  t.match(of({ ...settled(4), observedGeneration: 1 }), { updating: true })
  const conditions = [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }]
  t.match(of({ ...settled(4), updatedReplicas: 1, conditions }), { updating: false })
  t.end()
})

t.test('zero is known only where Prometheus sees no pod and Kubernetes wants none', t => {
  const none = { desired: 0, present: 0, updating: false }
  const silent = { known: false, why: 'empty', noPods: true } as const
  t.match(withWorkloads(silent, none), { known: true, available: 0, desired: 0 })
  t.equal(withWorkloads(silent, { ...none, desired: 1 }), silent)
  t.equal(withWorkloads(silent, { ...none, present: 1 }), silent)
  t.equal(withWorkloads(silent, undefined), silent)
  const down = { known: false, why: 'refused' } as const
  t.equal(withWorkloads(down, none), down)
  const some = { known: true, available: 3, unknownPods: 0, total: 3, desired: null, servingIds: [1] } as const
  t.strictSame(withWorkloads(some, { desired: 4, present: 3, updating: true }), { ...some, desired: 4, updating: true })
  t.end()
})
