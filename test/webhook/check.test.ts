import t from 'tap'
import { applyAdditions, isSound } from '../../webhook/check.ts'
import { inject } from '../../webhook/inject.ts'
import { decideOptions } from './pods.ts'

const sidecar = (mounts: object[]) => ({
  name: 'gitlab-runner-hadr',
  args: ['sidecar'],
  ports: [{ name: 'hadr-metrics', containerPort: 9254 }],
  volumeMounts: mounts,
})
const pod = (containers: object[], volumes?: object[]) => ({
  metadata: { labels: { app: 'gitlab-runner' } },
  spec: { containers: [{ name: 'runner' }, ...containers], ...(volumes && { volumes }) },
})
const mount = (name: string, mountPath: string) => ({ name, mountPath })

const pods: Record<string, [boolean, unknown]> = {
  'a sidecar whose mounts have their volumes is sound': [true, pod([sidecar([mount('v', '/v')])], [{ name: 'v' }])],
  'a mount of a volume that is not there is not': [false, pod([sidecar([mount('v', '/v')])])],
  'two mounts at one place are not': [
    false,
    pod([sidecar([mount('v', '/v'), mount('w', '/v')])], [{ name: 'v' }, { name: 'w' }]),
  ],
  'two containers of one name are not': [false, pod([sidecar([]), { name: 'runner' }])],
  'two sidecars are not': [false, pod([sidecar([]), sidecar([])])],
  'a pod without its sidecar is not': [false, pod([])],
  'two volumes of one name are not': [false, pod([sidecar([])], [{ name: 'v' }, { name: 'v' }])],
  'what is no pod is not': [false, { spec: {} }],
}

for (const [sentence, [expected, value]] of Object.entries(pods)) {
  t.test(sentence, t => {
    t.equal(isSound(value), expected)
    t.end()
  })
}

t.test('a sidecar that mounts what somebody took away is not completed by guesses', t => {
  t.strictSame(inject(pod([sidecar([mount('theirs', '/x')])]), decideOptions()), { skip: 'unsafePatch' })
  t.end()
})

t.test('an addition without a place gives nothing', t => {
  const value = { list: [{ a: 1 }], map: {}, text: 'x' }
  for (const path of [
    '/absent/key',
    '/list/7/key',
    '/list/0',
    '/text/key',
    '/list/-/key',
    '/list/00/a',
    '/list//a',
    '/__proto__/key',
    '',
  ]) {
    t.equal(applyAdditions(value, [{ op: 'add', path, value: 2 }]), undefined, path)
  }
  t.end()
})

t.test('an addition leaves what it was given as it was', t => {
  const value = { list: [{ a: 1 }], map: {} }
  const result = applyAdditions(value, [
    { op: 'add', path: '/list/0/b~1c~0d', value: 2 },
    { op: 'add', path: '/list/-', value: 3 },
  ])
  t.strictSame(result, { list: [{ a: 1, 'b/c~d': 2 }, 3], map: {} })
  t.strictSame(value, { list: [{ a: 1 }], map: {} })
  t.equal((result as typeof value).map, value.map, 'untouched parts are shared')
  t.end()
})

t.test('an addition takes the place of what earlier ones made there', t => {
  const result = applyAdditions({ a: { b: { old: 1 } } }, [
    { op: 'add', path: '/a/b/c', value: 2 },
    { op: 'add', path: '/a', value: { b: {} } },
    { op: 'add', path: '/a/b/d', value: 3 },
  ])
  t.strictSame(result, { a: { b: { d: 3 } } })
  t.end()
})
