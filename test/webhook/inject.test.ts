import fc from 'fast-check'
import t from 'tap'
import { applyAdditions } from '../../webhook/check.ts'
import { decide } from '../../webhook/decide.ts'
import { inject } from '../../webhook/inject.ts'
import { field, isObject, objectsField, textField } from '../../webhook/json.ts'
import { INJECTED_ANNOTATION } from '../../webhook/names.ts'
import { isGuaranteed, shapeOf } from '../../webhook/shape.ts'
import { withFastJsonPatch, withRfc6902 } from '../support/patch-engines.ts'
import { CREATE_POD, decideOptions, readPodCases } from './pods.ts'

const cases = readPodCases()
const patched = cases.flatMap(({ name, pod, options, expected }) =>
  'patch' in expected ? [{ name, pod, options, patch: expected.patch }] : [],
)

for (const { name, pod, options, expected } of cases) {
  const outcome = 'skip' in expected ? `left alone: ${expected.skip}` : 'given its sidecar'
  t.test(`${name} is ${outcome}`, t => {
    t.strictSame(JSON.parse(JSON.stringify(decide(pod, CREATE_POD, options))), expected)
    t.end()
  })
}

t.test('the corpus has pods for every outcome', t => {
  t.ok(cases.length >= 80)
  t.ok(patched.length >= 40)
  t.end()
})

t.test('two independent engines agree with ours on what a patch makes of a pod', t => {
  for (const { name, pod, patch } of patched) {
    const ours = applyAdditions(pod, patch)
    t.strictSame(withRfc6902(pod, patch), ours, name)
    // This engine refuses the key __proto__ anywhere in a document that it copies.
    if (!name.includes('prototypes')) t.strictSame(withFastJsonPatch(pod, patch), ours, name)
  }
  t.end()
})

t.test('nothing of a pod is lost, and no value of it is changed', t => {
  for (const { name, pod, patch } of patched) {
    t.ok(contains(applyAdditions(pod, patch), pod), name)
    t.strictSame([...new Set(patch.map(({ op }) => op))], ['add'], name)
    t.ok(JSON.stringify(patch).length < 4096, `${name}: ${JSON.stringify(patch).length} characters`)
  }
  t.end()
})

t.test('a second and a third call add nothing', t => {
  for (const { name, pod, options, patch } of patched) {
    const once = applyAdditions(pod, patch)
    t.strictSame(decide(once, CREATE_POD, options), { skip: 'alreadyInjected' }, name)
    t.strictSame(decide(asStored(once), CREATE_POD, options), { skip: 'alreadyInjected' }, `${name}, with defaults`)
  }
  t.end()
})

t.test('whatever another webhook takes away is given back, and only that', t => {
  for (const { name, pod, options, patch } of patched) {
    const whole = applyAdditions(pod, patch)
    for (const part of ['volumes', 'containers', 'annotations'] as const) {
      const again = inject(without(whole, part), options)
      if ('skip' in again) {
        t.equal(again.skip, 'alreadyInjected', `${name} without its ${part}`)
        continue
      }
      const completed = applyAdditions(without(whole, part), again.patch)
      t.strictSame(inject(completed, options), { skip: 'alreadyInjected' }, `${name}, ${part} completed`)
      t.equal(sidecarsOf(completed).length, 1, name)
    }
  }
  t.end()
})

t.test('the sidecar is restricted, has requests and limits, and keeps a Guaranteed pod Guaranteed', t => {
  for (const { name, pod, patch } of patched) {
    const before = shapeOf(pod)
    const after = shapeOf(applyAdditions(pod, patch))
    if (before === undefined || after === undefined) throw new Error(name)
    t.equal(isGuaranteed(after), isGuaranteed(before), name)
    for (const sidecar of patch
      .filter(({ path }) => /ontainers(?:\/-)?$/.test(path))
      .map(({ value }) => [value].flat()[0])) {
      const security = field(sidecar, 'securityContext')
      const resources = field(sidecar, 'resources')
      const isWindows = name.startsWith('windows')
      t.equal(field(security, 'runAsNonRoot'), name === 'runs-as-root' ? undefined : true, name)
      t.equal(field(security, 'runAsUser'), undefined, name)
      t.strictSame(field(security, 'capabilities'), isWindows ? undefined : { drop: ['ALL'] }, name)
      t.equal(field(security, 'allowPrivilegeEscalation'), isWindows ? undefined : false, name)
      t.strictSame(field(security, 'seccompProfile'), isWindows ? undefined : { type: 'RuntimeDefault' }, name)
      for (const kind of ['requests', 'limits']) {
        const amounts = Object.keys(field(resources, kind) as object)
        t.strictSame(amounts, name === 'pod-level-resources' ? ['memory'] : ['cpu', 'memory'], name)
      }
      for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle']) {
        t.equal(field(sidecar, probe), undefined, name)
      }
    }
  }
  t.end()
})

t.test('annotations that fill Kubernetes’ limit leave no room for ours', t => {
  const pod = (bytes: number) => ({
    metadata: { labels: { app: 'gitlab-runner' }, annotations: { a: 'é'.repeat(bytes / 2) } },
    spec: { containers: [{ name: 'runner', image: 'i' }] },
  })
  t.strictSame(inject(pod(256 * 1024 - 100), decideOptions()), { skip: 'unsafePatch' })
  t.match(inject(pod(256 * 1024 - 1000), decideOptions()), { patch: Array })
  t.end()
})

t.test('any pod is decided upon without a crash, and what it gets is sound', t => {
  const options = decideOptions()
  const name = fc.constantFrom('runner', 'gitlab-runner-hadr', 'a', 'b', 'gitlab-runner-hadr-token')
  const port = fc.record(
    { name: fc.constantFrom('http', 'hadr-metrics'), containerPort: fc.constantFrom(80, 9254, '9254', null) },
    { requiredKeys: [] },
  )
  const container = fc.record(
    {
      name,
      image: fc.string(),
      args: fc.constantFrom(['sidecar'], [], null, 'sidecar', [1]),
      ports: fc.option(fc.array(port, { maxLength: 2 })),
      env: fc.option(fc.array(fc.record({ name: fc.constantFrom('LISTEN_ADDRESS', 'X') }), { maxLength: 2 })),
      resources: fc.anything(),
      volumeMounts: fc.constantFrom(undefined, null, [{ name: 'a', mountPath: '/' }]),
      restartPolicy: fc.constantFrom('Always', undefined),
    },
    { requiredKeys: ['name'] },
  )
  const volume = fc.record({ name, emptyDir: fc.constant({}), secret: fc.anything() }, { requiredKeys: ['name'] })
  const strange = <Value>(usual: fc.Arbitrary<Value>) =>
    fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: fc.jsonValue() })
  const pod = fc.record({
    metadata: strange(
      fc.record(
        {
          labels: strange(fc.constantFrom({ app: 'gitlab-runner' }, { app: 'a', chart: 'gitlab-runner-0.86.0' })),
          annotations: strange(fc.option(fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }))),
        },
        { requiredKeys: ['labels'] },
      ),
    ),
    spec: strange(
      fc.record(
        {
          containers: strange(fc.uniqueArray(container, { selector: c => c.name, minLength: 1, maxLength: 3 })),
          initContainers: strange(fc.option(fc.array(container, { maxLength: 1 }))),
          volumes: strange(fc.option(fc.uniqueArray(volume, { selector: v => v.name, maxLength: 3 }))),
          hostNetwork: fc.constantFrom(false, undefined),
        },
        { requiredKeys: ['containers'] },
      ),
    ),
  })
  let injected = 0
  fc.assert(
    fc.property(pod, raw => {
      const input: unknown = JSON.parse(JSON.stringify(raw))
      const result = decide(input, CREATE_POD, options)
      if ('skip' in result) return
      injected += 1
      const once = withRfc6902(input, result.patch)
      if (!contains(once, input)) throw new Error('something was lost')
      const twice = decide(once, CREATE_POD, options)
      if (!('skip' in twice) || twice.skip !== 'alreadyInjected') throw new Error(`again: ${JSON.stringify(twice)}`)
      if (sidecarsOf(once).length !== 1) throw new Error('not one sidecar')
      if (!t.strictSame(withFastJsonPatch(input, result.patch), once)) throw new Error('the engines differ')
    }),
    { numRuns: 3_000 },
  )
  t.ok(injected > 300, `${injected} of 3000 were injected`)
  t.end()
})

/** Whether `whole` holds everything of `part`, but for our own record: null may become something, lists may grow. */
function contains(whole: unknown, part: unknown): boolean {
  if (part === null) return true
  if (Array.isArray(part)) return Array.isArray(whole) && part.every((item, index) => contains(whole[index], item))
  if (!isObject(part)) return Object.is(whole, part)
  return (
    isObject(whole) &&
    Object.entries(part).every(([key, value]) => key === INJECTED_ANNOTATION || contains(ownField(whole, key), value))
  )
}

function ownField(value: object, key: string): unknown {
  return Object.getOwnPropertyDescriptor(value, key)?.value
}

function sidecarsOf(pod: unknown): unknown[] {
  return (shapeOf(pod)?.allContainers ?? []).filter(({ name }) => name === 'gitlab-runner-hadr')
}

/** As the API server shows a pod to the second call: with defaults, and with the keys of the sidecar in another order. */
function asStored(pod: unknown): unknown {
  const copy = structuredClone(pod) as { spec: Record<string, unknown> }
  for (const kind of ['containers', 'initContainers']) {
    for (const container of objectsField(copy.spec, kind) as Record<string, unknown>[]) {
      container['terminationMessagePath'] = '/dev/termination-log'
      container['args'] = container['args'] ?? []
      container['image'] = `mirror.example.com/${textField(container, 'image') ?? ''}`
    }
  }
  return copy
}

/** Takes our things of one kind out, as a webhook that knows better might. */
function without(pod: unknown, part: 'volumes' | 'containers' | 'annotations'): unknown {
  const copy = structuredClone(pod) as { metadata: Record<string, unknown>; spec: Record<string, unknown> }
  if (part === 'annotations') delete copy.metadata['annotations']
  else {
    for (const kind of part === 'volumes' ? ['volumes'] : ['containers', 'initContainers']) {
      if (Array.isArray(copy.spec[kind])) {
        copy.spec[kind] = objectsField(copy.spec, kind).filter(
          item => textField(item, 'name')?.startsWith('gitlab-runner-hadr') !== true,
        )
      }
    }
  }
  return copy
}
