import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { kubectl, lacksKubectl } from '../support/kubectl.ts'
import { withFastJsonPatch, withRfc6902 } from '../support/patch-engines.ts'
import { readPodCases } from './pods.ts'

/** kubectl wants a kind and a name; a pod that has none yet gets them. */
const cases = readPodCases().flatMap(({ name, pod, expected }) => {
  if ('skip' in expected) return []
  const { metadata, ...rest } = pod as { metadata: object }
  const whole = { apiVersion: 'v1', kind: 'Pod', ...rest, metadata: { name: 'p', ...metadata } }
  return [{ name, patch: expected.patch, pod: whole }]
})

/** One pod for each set of places that a patch writes to, and those whose content is odd. */
const sample = cases.filter(({ name, patch }, index) => {
  const places = JSON.stringify(patch.map(({ path }) => path))
  const isFirst = cases.findIndex(other => JSON.stringify(other.patch.map(({ path }) => path)) === places) === index
  return isFirst || /odd|unicode|unknown|prototypes|null|many|200/.test(name)
})

t.test('kubectl makes of a pod and a patch what both engines make of them', { skip: lacksKubectl() }, async t => {
  const folder = t.testdir()
  const queue = [...sample]
  const work = async () => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const { name, pod, patch } = next
      const file = join(folder, `${name}.json`)
      writeFileSync(file, JSON.stringify(pod))
      const made = JSON.parse(
        await kubectl('patch', '--local', '-f', file, '--type=json', '-p', JSON.stringify(patch), '-o', 'json'),
      ) as unknown
      t.same(made, withRfc6902(pod, patch), name)
      if (!name.includes('prototypes')) t.same(made, withFastJsonPatch(pod, patch), name)
    }
  }
  await Promise.all([work(), work()])
  t.ok(sample.length >= 15, `${sample.length} pods`)
})

t.test('kubectl refuses a patch that has no place in the pod', { skip: lacksKubectl() }, async t => {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [] } }
  const file = join(t.testdir({ 'pod.json': JSON.stringify(pod) }), 'pod.json')
  const patch = JSON.stringify([{ op: 'add', path: '/metadata/annotations/a', value: 'b' }])
  await t.rejects(kubectl('patch', '--local', '-f', file, '--type=json', '-p', patch, '-o', 'json'), /missing path/)
})
