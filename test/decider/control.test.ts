import t from 'tap'
import { type ControlChange, changeControl, pinObjection } from '../../decider/control.ts'
import { readControl } from '../../decider/documents.ts'
import { poolOf } from './cluster-truth.ts'

const NOW = Date.UTC(2026, 0, 1)
const HOUR = 3_600_000
const pool = { ...poolOf('a'), name: 'rnd' }
const PIN: ControlChange = {
  kind: 'pin',
  pool: 'rnd',
  to: 'b',
  force: false,
  untilMs: NOW + HOUR,
  by: 'kim',
  why: 'upgrade of a',
}
const PAUSE: ControlChange = { kind: 'pause', pool: 'rnd', untilMs: NOW + 2 * HOUR, by: 'ann', why: 'maintenance' }
const change = (content: string | null, wanted: ControlChange) => changeControl(content, wanted, [pool], NOW)

function written(content: string | null, ...wanted: ControlChange[]): string {
  let text = content
  for (const each of wanted) {
    const result = change(text, each)
    if (!result.ok) throw new Error(result.why)
    text = result.content
  }
  return text ?? ''
}

t.test('what it writes is what the deciders read', t => {
  t.strictSame(readControl(written(null, PIN, PAUSE), 'rnd'), {
    kind: 'read',
    control: {
      pin: { to: 'b', untilMs: NOW + HOUR, by: 'kim', why: 'upgrade of a', force: false },
      pause: { untilMs: NOW + 2 * HOUR, by: 'ann', why: 'maintenance' },
    },
  })
  t.match(readControl(written(null, { ...PIN, force: true }), 'rnd'), { control: { pin: { force: true } } })
  t.end()
})

t.test('a wish ends alone, and everything else in the file stays', t => {
  const file = JSON.stringify({ schema: 1, note: 'ours', pools: { qa: { pause: 'odd' }, rnd: { more: 1 } } })
  const both = written(file, PIN, PAUSE)
  t.strictSame(
    JSON.parse(written(both, { kind: 'resume', pool: 'rnd' }, { kind: 'unpin', pool: 'rnd' })),
    JSON.parse(file),
  )
  t.match(readControl(written(both, { kind: 'resume', pool: 'rnd' }), 'rnd'), { control: { pin: { to: 'b' } } })
  t.match(readControl(written(both, { kind: 'unpin', pool: 'rnd' }), 'rnd'), { control: { pause: { by: 'ann' } } })
  t.strictSame(JSON.parse(written(null, PIN, { kind: 'unpin', pool: 'rnd' })), { schema: 1, pools: {} })
  t.end()
})

t.test('what no decider would obey is refused with the reason', t => {
  t.match(change(null, { ...PIN, pool: 'nope' }), { ok: false, why: /no pool nope; pools: rnd/ })
  t.match(change(null, { ...PIN, to: 'z' }), { ok: false, why: /no cluster z; clusters: a, b/ })
  t.match(change(null, { ...PIN, untilMs: NOW }), { ok: false, why: /in the future/ })
  t.match(change(null, { ...PIN, untilMs: NaN }), { ok: false, why: /in the future/ })
  t.match(change(null, { ...PAUSE, untilMs: NOW + 31 * 24 * HOUR }), { ok: false, why: /30 days/ })
  t.match(change(null, { ...PAUSE, by: ' ' }), { ok: false, why: /by must not be empty/ })
  t.match(change(null, { ...PAUSE, why: 'x'.repeat(2001) }), { ok: false, why: /why must have at most/ })
  for (const broken of ['', '[]', '{"schema":2,"pools":{}}', '{"schema":1}', '{"schema":1,"pools":[]}']) {
    t.match(change(broken, PIN), { ok: false, why: /mend it by hand/ }, broken)
  }
  t.match(change('{"schema":1,"pools":{"rnd":[]}}', PIN), { ok: false, why: /pool rnd/ })
  t.end()
})

t.test('a pin to a cluster that cannot serve meets an objection', t => {
  const status = (part: object) =>
    JSON.stringify({
      schema: 1,
      cluster: 'b',
      seq: 7,
      decider: { id: 'x', version: '1' },
      pools: {
        rnd: {
          digest: pool.digest,
          epoch: 1,
          active: false,
          available: 4,
          total: 4,
          desired: null,
          lastKnown: 4,
          unknownForSeconds: 0,
          servingIds: [],
          reason: '',
          ...part,
        },
      },
    })
  const objection = (content: string | null, force = false) => pinObjection(pool, 'b', content, { force })
  t.equal(objection(status({})), undefined)
  t.match(objection(null), /ever spoken/)
  t.match(objection('{}'), /cannot be understood/)
  t.match(objection(status({ digest: 'other' })), /another configuration/)
  t.match(objection(status({ available: 0 })), /no available runner/)
  t.match(objection(status({ available: 0 }), true), /no available runner/, 'known zero, whatever the force')
  t.match(objection(status({ available: null, lastKnown: 0 })), /nobody knows/)
  t.equal(objection(status({ available: null, lastKnown: 0 }), true), undefined)
  t.equal(objection(status({ available: null })), undefined)
  t.end()
})
