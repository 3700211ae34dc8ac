import t from 'tap'
import { createEventReporter } from '../../decider/status/events.ts'
import type { KubernetesEvent } from '../../lib/kubernetes/types.ts'
import { silentLog } from '../../lib/service/log.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { open, startApi } from '../support/kubernetes.ts'
import { emergency, losing } from './act-scene.ts'

const pod = { namespace: 'default', name: 'decider-0' }

t.test('a promotion and a demotion are told once each, as the API server takes them', async t => {
  const api = await startApi(t)
  const { client } = await open(t, api)
  const reporter = createEventReporter({ kubernetes: client, pod, clock: createManualClock(), log: silentLog })
  const world = emergency()
  for (let cycles = 0; cycles < 4; cycles++) {
    reporter.record(await world.cycle())
    world.says('b')
  }
  reporter.record(await (await losing()).cycle())
  await reporter.flush()
  const events = api.state.list('events', 'default')
  const reasons = events.map(event => event['reason'])
  t.same(
    ['Promoted', 'Demoted'].map(reason => reasons.filter(each => each === reason).length),
    [1, 1],
    reasons.join(),
  )
  t.match(events[0], { regarding: { kind: 'Pod', name: 'decider-0' }, note: /^Pool rnd: / })
})

t.test('wishes and alerts are told when they begin and end, and not again', async t => {
  const sent: KubernetesEvent[] = []
  const kubernetes = { createEvent: (event: KubernetesEvent) => Promise.resolve(void sent.push(event)) }
  const reporter = createEventReporter({ kubernetes, pod, clock: createManualClock(), log: silentLog })
  const world = emergency()
  const wish = { to: 'z', until: '2100-01-01T00:00:00Z', by: 'kim', why: 'test' }
  const say = (pools: object) => world.gitlab.files.set('main:control.json', JSON.stringify({ schema: 1, pools }))
  say({ rnd: { pin: wish, pause: wish } })
  for (let cycles = 0; cycles < 3; cycles++) reporter.record(await world.cycle())
  say({})
  for (let cycles = 0; cycles < 2; cycles++) reporter.record(await world.cycle())
  await reporter.flush()
  const words = ['Paused', 'Pinned', 'PinRefused', 'Resumed', 'Unpinned']
  t.same(
    sent.map(({ reason }) => reason).filter(reason => words.includes(reason)),
    words,
  )
})

t.test('an API server that hangs or refuses delays nothing, and a flood ends after a burst', async t => {
  const clock = createManualClock()
  let asked = 0
  const kubernetes = {
    createEvent: (_event: KubernetesEvent, signal?: AbortSignal) =>
      new Promise<never>((_resolve, reject) => {
        asked++
        signal?.addEventListener('abort', () => reject(signal.reason as Error))
      }),
  }
  const reporter = createEventReporter({ kubernetes, pod, clock, log: silentLog })
  const world = emergency()
  const decision = await world.cycle()
  for (let round = 0; round < 200; round++)
    reporter.record({ ...decision, pool: `p${round % 2}`, deeds: decision.deeds })
  await clock.advance(300_000)
  await reporter.flush()
  t.ok(asked > 1 && asked <= 30, `${asked} events`)
})
