import fc from 'fast-check'
import t from 'tap'
import { digestOf, groupByCluster, poolNameOf, viewRunner } from '../../decider/pool.ts'
import { poolOf } from './cluster-truth.ts'
import { check } from './observations.ts'

t.test('a runner belongs to the one cluster whose tag it carries', t => {
  const pool = poolOf('a')
  const of = (...tags: string[]) =>
    viewRunner(
      { id: 1, description: 'runner-a', paused: false, online: null, tags, locked: false, contactedAtMs: 5 },
      false,
      pool,
    )
  t.match(of('runner-a', 'rnd-runner'), { cluster: 'a', tagged: true, contactedAtMs: undefined })
  t.match(of('runner-b'), { cluster: 'b', tagged: false })
  t.match(of('runner-a', 'runner-b'), { cluster: null })
  t.match(of('rnd-runner'), { cluster: null, tagged: true })
  t.match(of('Runner-A'), { cluster: null })
  t.end()
})

t.test('the digest tells what all must agree on, in any order, and nothing else', t => {
  const pool = poolOf('a')
  const { digest } = pool
  t.match(digest, /^[0-9a-f]{16}$/)
  t.equal(digestOf({ ...pool, clusters: [...pool.clusters].reverse() }), digest)
  t.equal(digestOf(poolOf('b', ['a', 'b'], { margin: 7 })), digest)
  t.equal(digestOf({ ...pool, clusters: pool.clusters.map(one => ({ ...one, priority: 9, weight: 9 })) }), digest)
  t.not(digestOf({ ...pool, mainTag: 'other' }), digest)
  t.not(digestOf({ ...pool, strength: 'health' }), digest)
  t.not(digestOf({ ...pool, clusters: pool.clusters.slice(1) }), digest)
  t.not(digestOf({ ...pool, clusters: pool.clusters.map(one => ({ ...one, tag: `${one.tag}x` })) }), digest)
  t.end()
})

t.test('a pool’s name is made of its main tag', t => {
  for (const [tag, name] of [
    ['rnd-runner', 'rnd-runner'],
    ['RnD Runner!', 'rnd-runner'],
    ['--x--', 'x'],
    ['a__b  c', 'a-b-c'],
    [`${'a'.repeat(39)}-b`, 'a'.repeat(39)],
  ] as const) {
    t.equal(poolNameOf(tag), name)
  }
  const property = fc.property(fc.string(), tag => {
    if (!/^(?:[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?)?$/.test(poolNameOf(tag))) throw new Error(poolNameOf(tag))
  })
  check(t, property, 200)
  t.end()
})

t.test('runners are grouped by their cluster, those of none are left out', t => {
  const runner = (id: number, cluster: string | null) => ({
    id,
    cluster,
    tagged: true,
    paused: false,
    online: true,
    contactedAtMs: undefined,
  })
  const groups = groupByCluster([runner(1, 'b'), runner(2, null), runner(3, 'a'), runner(4, 'b')])
  t.strictSame(
    [...groups].map(([name, runners]) => [name, runners.map(({ id }) => id)]),
    [
      ['b', [1, 4]],
      ['a', [3]],
    ],
  )
  t.end()
})
