import fc from 'fast-check'
import t from 'tap'
import { type StatusDocument, readControl, readPoolStatus, readStatusDocument } from '../../decider/documents.ts'
import type { PoolStatus } from '../../decider/model.ts'

const part: PoolStatus = {
  digest: 'd',
  epoch: 3,
  active: true,
  available: 4,
  total: 5,
  desired: null,
  lastKnown: 4,
  unknownForSeconds: 0,
  servingIds: [10, 11],
  reason: 'ACTIVE',
}
const document: StatusDocument = {
  schema: 1,
  cluster: 'a',
  seq: 7,
  decider: { id: 'pod-1', version: '1.0.0' },
  pools: { rnd: part, qa: { ...part, active: false, available: null } },
}
const text = (change: object = {}) => JSON.stringify({ ...document, ...change })

t.test('a status document comes back as it was written', t => {
  t.strictSame(readStatusDocument(text(), 'a'), { kind: 'read', document })
  t.strictSame(readPoolStatus(text({ leaving: true }), 'a', 'rnd'), { kind: 'read', seq: 7, status: part })
  const count = fc.nat()
  const statuses = fc.record({
    digest: fc.string(),
    epoch: count,
    active: fc.boolean(),
    available: fc.option(count),
    total: count,
    desired: fc.option(count),
    lastKnown: count,
    unknownForSeconds: fc.double({ min: 0, max: 1e9, noNaN: true }).map(seconds => seconds + 0),
    servingIds: fc.array(count),
    reason: fc.string(),
  })
  fc.assert(
    fc.property(fc.string(), count, statuses, (pool, seq, status) => {
      const pools = Object.fromEntries([[pool, status]])
      const read = readPoolStatus(JSON.stringify({ ...document, seq, pools }), 'a', pool)
      t.strictSame(read, { kind: 'read', seq, status: JSON.parse(JSON.stringify(status)) as PoolStatus })
    }),
    { numRuns: 200 },
  )
  t.end()
})

t.test('no file is absent, and nothing else is', t => {
  t.strictSame(readStatusDocument(null, 'a'), { kind: 'absent' })
  for (const content of ['', ' ', 'null', '[]', '{}', '1', '"a"', '{"schema":1', '<html>']) {
    t.match(readStatusDocument(content, 'a'), { kind: 'unreadable', why: /./ }, JSON.stringify(content))
  }
  t.end()
})

t.test('a document of another schema, cluster or form is unreadable, and says why', t => {
  const cases: [string, object, RegExp][] = [
    ['a newer schema', { schema: 2 }, /schema/],
    ['the schema as a word', { schema: '1' }, /schema/],
    ['no schema', { schema: undefined }, /schema/],
    ['another cluster', { cluster: 'b' }, /speaks for cluster b/],
    ['a seq below 0', { seq: -1 }, /seq/],
    ['half a seq', { seq: 1.5 }, /seq/],
    ['a seq too large to grow', { seq: 1e300 }, /seq/],
    ['no decider', { decider: undefined }, /decider/],
    ['pools as a list', { pools: [part] }, /pools/],
    ['leaving as a word', { leaving: 'yes' }, /leaving/],
  ]
  for (const [name, change, why] of cases) {
    t.match(readStatusDocument(text(change), 'a'), { kind: 'unreadable', why }, name)
  }
  t.end()
})

t.test('what a later version adds is no obstacle', t => {
  const later = text({ colour: 'red', pools: { rnd: { ...part, colour: 'red' } } })
  t.match(readPoolStatus(later, 'a', 'rnd'), { kind: 'read', status: part })
  t.end()
})

t.test('a broken part hides only itself', t => {
  const broken: [string, object][] = [
    ['active as a word', { active: 'true' }],
    ['a negative number', { available: -1 }],
    ['a number as a word', { available: '4' }],
    ['no available at all', { available: undefined }],
    ['an epoch that no claim could exceed', { epoch: 1e300 }],
    ['an epoch at the end of exact numbers', { epoch: Number.MAX_SAFE_INTEGER }],
    ['half an epoch', { epoch: 0.5 }],
    ['serving ids that are none', { servingIds: ['10'] }],
    ['time running backwards', { unknownForSeconds: -1 }],
  ]
  for (const [name, change] of broken) {
    const content = text({ pools: { rnd: { ...part, ...change }, qa: part } })
    t.match(readPoolStatus(content, 'a', 'rnd'), { kind: 'unreadable', why: /rnd/ }, name)
    t.match(readPoolStatus(content, 'a', 'qa'), { kind: 'read', status: part }, name)
  }
  for (const nothing of [null, 1, 'x', []]) {
    const content = text({ pools: { rnd: nothing, qa: part } })
    t.match(readPoolStatus(content, 'a', 'rnd'), { kind: 'unreadable' })
    t.match(readPoolStatus(content, 'a', 'qa'), { kind: 'read' })
  }
  t.match(readPoolStatus(text(), 'a', 'other'), { kind: 'unreadable', why: /other/ }, 'a missing part')
  t.end()
})

t.test('names of JavaScript’s own are names like any other', t => {
  const part1 = JSON.stringify(part)
  const poisoned = text({ pools: 0 }).replace('"pools":0', `"pools":{"__proto__":${part1},"rnd":${part1}}`)
  const reading = readStatusDocument(poisoned, 'a')
  t.equal(reading.kind, 'read')
  t.equal(Object.getPrototypeOf({}), Object.prototype)
  t.equal(({} as Record<string, unknown>)['epoch'], undefined)
  t.match(readPoolStatus(poisoned, 'a', 'rnd'), { kind: 'read' })
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    t.match(readPoolStatus(text(), 'a', name), { kind: 'unreadable' }, name)
    t.strictSame(readControl('{"schema":1,"pools":{}}', name), { kind: 'read', control: {} }, name)
  }
  t.end()
})

t.test('control', t => {
  const wish = { until: '2026-01-01T00:00:00.000Z', by: 'kim', why: 'upgrade' }
  const untilMs = Date.UTC(2026, 0, 1)
  const control = (pools: object, more: object = {}) => JSON.stringify({ schema: 1, pools, ...more })

  t.test('wishes are read for their pool, with the date in milliseconds', t => {
    const content = control({
      rnd: { pause: wish, pin: { ...wish, to: 'b' } },
      qa: { pin: { ...wish, to: 'a', force: true } },
    })
    t.strictSame(readControl(content, 'rnd'), {
      kind: 'read',
      control: {
        pause: { untilMs, by: 'kim', why: 'upgrade' },
        pin: { untilMs, by: 'kim', why: 'upgrade', to: 'b', force: false },
      },
    })
    t.match(readControl(content, 'qa'), { control: { pin: { to: 'a', force: true } } })
    t.strictSame(readControl(content, 'none'), { kind: 'read', control: {} })
    t.end()
  })

  t.test('no file means no wishes', t => {
    t.strictSame(readControl(null, 'rnd'), { kind: 'read', control: {} })
    t.end()
  })

  t.test('dates with an offset are understood', t => {
    for (const until of ['2026-01-01T02:00:00+02:00', '2025-12-31T19:30:00-04:30', '2026-01-01T00:00Z']) {
      t.match(readControl(control({ rnd: { pause: { ...wish, until } } }), 'rnd'), { control: { pause: { untilMs } } })
    }
    t.end()
  })

  t.test('what is no date, or could be two, makes the wishes unreadable, not expired', t => {
    const untils = ['', 'tomorrow', 'day 1', '1', '2026', '2026-01-01', '2026-01-01 00:00:00', '2026-01-01T00:00:00']
    for (const until of [...untils, '2026-13-01T00:00:00Z', '2026-02-30T25:00:00Z', '01/02/2026', '1767225600000']) {
      for (const kind of ['pause', 'pin'] as const) {
        const content = control({ rnd: { [kind]: { ...wish, until, to: 'b' } }, qa: {} })
        t.match(readControl(content, 'rnd'), { kind: 'unreadable', why: /until/ }, `${kind} ${until}`)
        t.match(readControl(content, 'qa'), { kind: 'read' }, 'and only for its own pool')
      }
    }
    t.end()
  })

  t.test('what is no control document is unreadable', t => {
    const contents = [
      '',
      'null',
      '{}',
      '{"schema":2,"pools":{}}',
      '{"schema":1}',
      control({ rnd: { pause: true } }),
      control({ rnd: { pause: { until: wish.until } } }),
      control({ rnd: { pin: wish } }),
      control({ rnd: { pin: { ...wish, to: 'b', force: 'yes' } } }),
      control({ rnd: [] }),
    ]
    for (const content of contents) t.match(readControl(content, 'rnd'), { kind: 'unreadable', why: /./ }, content)
    t.end()
  })

  t.test('a broken wish hides only its own pool’s', t => {
    const content = control({ qa: { pause: { until: 5 } }, rnd: { pause: wish } })
    t.match(readControl(content, 'rnd'), { kind: 'read', control: { pause: { untilMs } } })
    t.match(readControl(content, 'qa'), { kind: 'unreadable' })
    t.end()
  })
  t.end()
})

t.test('no text makes the readers throw', t => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.jsonValue().map(value => JSON.stringify({ ...document, pools: value })),
      ),
      content => {
        readStatusDocument(content, 'a')
        readPoolStatus(content, 'a', 'rnd')
        readControl(content, 'rnd')
      },
    ),
  )
  t.end()
})
