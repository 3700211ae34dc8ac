import t from 'tap'
import { silentLog } from '../../lib/service/log.ts'
import { createNativeSidecars } from '../../webhook/native-sidecars.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { createRandom } from '../support/random.ts'

type Version = { major: number; minor: number } | Error | 'silence'

function ask(answers: Version[]) {
  const clock = createManualClock()
  let asked = 0
  const native = createNativeSidecars({
    version: signal => {
      const answer = answers[asked++] ?? 'silence'
      if (answer instanceof Error) return Promise.reject(answer)
      if (answer !== 'silence') return Promise.resolve(answer)
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      })
    },
    clock,
    random: createRandom(7),
    log: silentLog,
  })
  t.teardown(() => native.stop())
  return { native, clock, asked: () => asked }
}

t.test('they are known from the version on at which no kubelet of the cluster can be without them', async t => {
  for (const [major, minor, known] of [
    [1, 28, false],
    // Kubelets of 1.28 may serve an API server of 1.31, and would wait for such a container to end.
    [1, 31, false],
    [1, 32, true],
    [1, 36, true],
    [2, 0, true],
  ] as const) {
    const { native, clock } = ask([{ major, minor }])
    t.equal(native.known(), false, 'before there is an answer')
    native.start()
    await clock.advance(0)
    t.equal(native.known(), known, `${major}.${minor}`)
    t.equal(clock.pending, 0, 'it is asked once')
  }
})

t.test('an API server that fails or keeps silent is asked again, ever more seldom, until it answers', async t => {
  const { native, clock, asked } = ask([new Error('refused'), 'silence', new Error('503'), { major: 1, minor: 33 }])
  native.start()
  await clock.advance(500)
  t.equal(asked(), 1)
  await clock.advance(60_000)
  t.equal(asked(), 4)
  t.equal(native.known(), true)
})

t.test('a stop ends a question that is under way, and the asking', async t => {
  const { native, clock, asked } = ask(['silence'])
  native.start()
  await clock.advance(100)
  await native.stop()
  t.equal(native.known(), false)
  await clock.advance(600_000)
  t.equal(asked(), 1)
})
