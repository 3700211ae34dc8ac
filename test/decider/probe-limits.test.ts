import t from 'tap'
import { remember } from '../../decider/memory.ts'
import type { Outcomes, Probe } from '../../decider/model.ts'
import { quiet } from './scenario.ts'

t.test('a probe', t => {
  /** What becomes of a probe of b's runner 20 when the next read is made `afterMs` after the one before. */
  const advanced = (probe: Probe, contactedAtMs: number | null | undefined, wakes: Outcomes['wakes'] = {}) => {
    const scene = quiet('a', 'b')
    scene.peer.dies()
    scene.world.run(60)
    const { memory, config } = scene.decider
    const before = memory.peers['b']
    if (!before) throw new Error('b is known')
    const peers = { ...memory.peers, b: { ...before, probe } }
    const seen = scene.decider.observe()
    if (!seen.gitlab.readable) throw new Error('GitLab is up')
    const runners = seen.gitlab.runners.map(one => (one.id === 20 ? { ...one, contactedAtMs } : one))
    const outcomes = { ...seen.outcomes, wakes }
    return remember({ ...memory, peers }, { ...seen, gitlab: { ...seen.gitlab, runners }, outcomes }, config).peers['b']
      ?.probe
  }
  /** The observed clock at the read that `advanced` makes. */
  const nowMs = advanced({ phase: 'pending', startedMs: 0, before: { 20: 5 } }, 6)?.aliveMs ?? NaN
  const MINUTE_MS = 60_000

  t.test('that is answered makes the cluster alive from then on', t => {
    const probe: Probe = { phase: 'pending', startedMs: nowMs, before: { 20: 5 }, wokenMs: nowMs }
    t.strictSame(advanced(probe, 5), probe, 'not newer')
    t.strictSame(advanced(probe, undefined), probe, 'not told')
    const alive = advanced(probe, 6)
    t.match(alive, { phase: 'alive', before: {}, startedMs: nowMs })
    t.match(alive, { aliveMs: nowMs, firstAliveMs: nowMs })
    t.end()
  })

  t.test('that is answered for the first time by a runner that GitLab had never heard of is answered', t => {
    const probe: Probe = { phase: 'pending', startedMs: nowMs, before: { 20: null }, wokenMs: nowMs }
    t.match(advanced(probe, 1), { phase: 'alive' })
    t.end()
  })

  t.test('an answer counts within the hour since the first, and no longer', t => {
    for (const [agoMs, phase] of [
      [60 * MINUTE_MS, 'alive'],
      [60 * MINUTE_MS + 1, 'inconclusive'],
    ] as const) {
      const firstAliveMs = nowMs - agoMs
      const probe: Probe = { phase: 'alive', startedMs: 0, before: { 20: 5 }, firstAliveMs, aliveMs: nowMs - MINUTE_MS }
      t.match(advanced(probe, 6), { phase, firstAliveMs })
      t.match(advanced({ ...probe, before: {} }, 6), { phase, firstAliveMs }, 'nor does one without a new answer')
    }
    t.end()
  })

  t.test('an answer is good for three minutes', t => {
    for (const [agoMs, phase] of [
      [3 * MINUTE_MS, 'alive'],
      [3 * MINUTE_MS + 1, 'inconclusive'],
    ] as const) {
      const probe: Probe = {
        phase: 'alive',
        startedMs: 0,
        before: {},
        firstAliveMs: nowMs - agoMs,
        aliveMs: nowMs - agoMs,
      }
      t.match(advanced(probe, 6), { phase })
    }
    t.end()
  })

  t.test('waits 40 s for its first answer', t => {
    for (const [agoMs, phase] of [
      [40_000, 'pending'],
      [40_001, 'inconclusive'],
    ] as const) {
      t.match(advanced({ phase: 'pending', startedMs: nowMs - agoMs, before: { 20: 5 } }, 5), { phase })
    }
    t.end()
  })

  t.test('that ended without an answer stays so, whatever comes later', t => {
    const ended: Probe = { phase: 'inconclusive', startedMs: 0, before: { 20: 5 } }
    t.strictSame(advanced(ended, 6), ended)
    t.end()
  })

  t.test('who is asked again keeps the older contact time', t => {
    const wokenMs = nowMs - 1000
    const probe: Probe = { phase: 'pending', startedMs: nowMs, before: { 20: 5 }, wokenMs }
    t.match(advanced(probe, 6, { b: { 20: 6 } }), { phase: 'alive' })
    const woken = advanced(probe, 5, { b: { 20: 6, 21: 7 } })
    t.strictSame(woken?.before, { 20: 5, 21: 7 })
    t.equal(woken?.wokenMs, nowMs, 'the renewal counts from now')
    t.equal(advanced(probe, 5, { b: {} })?.wokenMs, wokenMs, 'nobody was asked')
    t.end()
  })
  t.end()
})
