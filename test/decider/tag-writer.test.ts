import fc from 'fast-check'
import t from 'tap'
import { type TagWrite, createTagWriter } from '../../decider/act/tag-writer.ts'
import { FakeGitLab, HandClock } from './fake-gitlab.ts'

function scene() {
  const clock = new HandClock()
  const gitlab = new FakeGitLab(clock)
  gitlab.add(10, 'runner-a', 'linux')
  gitlab.add(11, 'rnd-runner', 'runner-a', 'linux')
  const writer = createTagWriter({ gitlab, clock })
  let sent = 0
  const write = (runnerId: number, present: boolean, more: Partial<TagWrite> = {}) =>
    writer.write(
      {
        runnerId,
        mainTag: 'rnd-runner',
        present,
        clusterTag: 'runner-a',
        deadline: after(clock, 20_000),
        ...more,
      },
      () => sent++,
    )
  return { clock, gitlab, write, sent: () => sent }
}

const after = (clock: HandClock, ms: number) => ({ monotonicMs: clock.monotonicMs() + ms, wallMs: clock.wallMs() + ms })

/** Everything that is ready to run has run. */
const settle = () => new Promise(resolve => setImmediate(resolve))

t.test('adding and removing read first, change the main tag alone and write the whole list', async t => {
  const { gitlab, write, sent } = scene()
  t.strictSame(await write(10, true), { result: 'done' })
  t.strictSame(await write(11, false), { result: 'done' })
  t.strictSame(gitlab.log, ['get 10', 'put 10 runner-a,linux,rnd-runner', 'get 11', 'put 11 runner-a,linux'])
  t.equal(sent(), 2)
})

t.test('what is right already is not written', async t => {
  const { gitlab, write, sent } = scene()
  t.strictSame(await write(10, false), { result: 'unchanged' })
  t.strictSame(await write(11, true), { result: 'unchanged' })
  t.strictSame(gitlab.log, ['get 10', 'get 11'])
  t.equal(sent(), 0)
})

t.test('tags that people add meanwhile survive', async t => {
  const { gitlab, write } = scene()
  gitlab.add(10, 'runner-a', 'linux', 'gpu', 'added-a-second-ago')
  await write(10, true)
  t.strictSame(gitlab.tagsOf(10), ['runner-a', 'linux', 'gpu', 'added-a-second-ago', 'rnd-runner'])
})

t.test('no list is ever empty, and a runner that left the cluster is left alone', async t => {
  const { gitlab, write, sent } = scene()
  gitlab.add(12, 'rnd-runner')
  gitlab.add(13, 'rnd-runner', 'runner-b')
  gitlab.add(14, 'runner-b')
  t.match(await write(12, false), { result: 'mismatch', why: /runner-a/ })
  t.match(await write(13, false), { result: 'mismatch' })
  t.match(await write(14, true), { result: 'mismatch' })
  t.equal(sent(), 0)
})

t.test('tags after minus the main tag are the tags before minus it', t =>
  fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.constantFrom('linux', 'gpu', 'rnd-runner', 'runner-b', 'RND-RUNNER', 'rnd-runner-2'), {
        maxLength: 6,
      }),
      fc.boolean(),
      async (tags, present) => {
        const { gitlab, write } = scene()
        gitlab.add(10, 'runner-a', ...tags)
        await write(10, present)
        const rest = (all: readonly string[]) => all.filter(tag => tag !== 'rnd-runner')
        t.strictSame(rest(gitlab.tagsOf(10)), rest(['runner-a', ...tags]))
        t.equal(gitlab.tagsOf(10).includes('rnd-runner'), present)
      },
    ),
    { numRuns: 50 },
  ),
)

t.test('an answer with another list is a mismatch', async t => {
  const { gitlab, write } = scene()
  const replaceTags = gitlab.replaceTags.bind(gitlab)
  gitlab.replaceTags = async (id, tags) => ({ ...(await replaceTags(id, tags)), tags: tags.slice(1) })
  t.match(await write(10, true), { result: 'mismatch', why: /GitLab kept/ })
})

t.test('a mismatch says what is wrong', async t => {
  const { gitlab, write } = scene()
  t.strictSame(await write(10, true, { clusterTag: 'runner-b' }), {
    result: 'mismatch',
    why: 'it no longer carries the cluster tag runner-b',
  })
  const replaceTags = gitlab.replaceTags.bind(gitlab)
  for (const [kept, told] of [
    [['linux', 'x'], 'linux, x'],
    [[], 'no tags'],
    [['runner-a', 'linux', 'other'], 'runner-a, linux, other'],
    [['runner-a', 'linux', 'rnd-runner', 'more'], 'runner-a, linux, rnd-runner, more'],
  ] as const) {
    gitlab.add(10, 'runner-a', 'linux')
    gitlab.replaceTags = async (id, tags) => ({ ...(await replaceTags(id, tags)), tags: kept })
    t.strictSame(await write(10, true), { result: 'mismatch', why: `GitLab kept ${told}` })
  }
})

t.test('an answer in another order is none', async t => {
  const { gitlab, write } = scene()
  const replaceTags = gitlab.replaceTags.bind(gitlab)
  gitlab.replaceTags = async (id, tags) => ({ ...(await replaceTags(id, tags)), tags: [...tags].reverse() })
  t.strictSame(await write(10, true), { result: 'done' })
})

t.test('after its deadline nothing is sent', async t => {
  const { clock, gitlab, write, sent } = scene()
  t.strictSame(await write(10, true, { deadline: after(clock, 0) }), { result: 'expired' })
  t.strictSame(gitlab.log, [])
  gitlab.onCall = call => {
    if (call === 'get') clock.nowMs += 20_000
  }
  t.strictSame(await write(10, true), { result: 'expired' }, 'it passed during the read')
  t.strictSame(gitlab.log, ['get 10'])
  t.equal(sent(), 0)
})

t.test('a machine that was suspended sends nothing afterwards, though its monotonic clock stood still', async t => {
  const { clock, gitlab, write, sent } = scene()
  const deadline = after(clock, 20_000)
  clock.wallMs = () => deadline.wallMs + 3_600_000
  t.strictSame(await write(11, false, { deadline }), { result: 'expired' })
  t.strictSame(gitlab.log, [])
  t.equal(sent(), 0)
})

t.test('a failure before the write is a failure; after it, it may have been applied', async t => {
  for (const [call, kind, result] of [
    ['get', 'unavailable', 'failed'],
    ['get', 'not_found', 'failed'],
    ['put', 'refused', 'failed'],
    ['put', 'forbidden', 'failed'],
    ['put', 'rate_limited', 'failed'],
    ['put', 'unavailable', 'ambiguous'],
    ['put', 'invalid_answer', 'ambiguous'],
  ] as const) {
    const { gitlab, write, sent } = scene()
    gitlab.fault = name => (name === call ? { kind } : undefined)
    t.match(await write(10, true), { result, why: /./ }, `${call} ${kind}`)
    t.equal(sent(), call === 'put' ? 1 : 0)
    t.equal(gitlab.log.length, call === 'put' ? 2 : 1, 'no retry')
  }
})

t.test('writes to one runner wait for each other, so that two pools do not undo one another', async t => {
  const { gitlab, write } = scene()
  const results = await Promise.all([
    write(10, true),
    write(10, true, { mainTag: 'qa-runner' }),
    write(10, false),
    write(10, true, { mainTag: 'third' }),
  ])
  t.ok(results.every(({ result }) => result === 'done'))
  t.strictSame(gitlab.tagsOf(10), ['runner-a', 'linux', 'qa-runner', 'third'])
})

t.test('a failed write holds up no other of the same runner', async t => {
  const { gitlab, write } = scene()
  gitlab.fault = call => (call === 'put' && gitlab.log.length === 2 ? { kind: 'unavailable' } : undefined)
  const [first, second] = await Promise.all([write(10, true), write(10, true)])
  t.equal(first.result, 'ambiguous')
  t.equal(second.result, 'done')
})

t.test('four writes are under way at most, the others follow in order', async t => {
  const { gitlab, write } = scene()
  for (let id = 100; id < 112; id++) gitlab.add(id, 'runner-a')
  const held: (() => void)[] = []
  let running = 0
  let most = 0
  gitlab.onCall = call => {
    if (call === 'put') {
      running--
      return
    }
    most = Math.max(most, ++running)
    return new Promise<void>(resolve => held.push(resolve))
  }
  const writes = Array.from({ length: 12 }, (_, index) => write(100 + index, true))
  for (let round = 0; round < 12; round++) {
    await settle()
    t.ok(held.length <= 4)
    held.shift()?.()
  }
  await Promise.all(writes)
  t.equal(most, 4)
  t.strictSame(
    gitlab.log.filter(entry => entry.startsWith('get')).map(entry => Number(entry.slice(4))),
    Array.from({ length: 12 }, (_, index) => 100 + index),
  )
})

t.test('a write that waited too long for its turn expires', async t => {
  const { clock, gitlab, write } = scene()
  let release: () => void = () => undefined
  gitlab.onCall = call => (call === 'get' ? new Promise<void>(resolve => (release = resolve)) : undefined)
  const first = write(10, true)
  const second = write(10, false)
  await settle()
  gitlab.onCall = () => undefined
  clock.nowMs += 20_000
  release()
  t.strictSame(await first, { result: 'expired' })
  t.strictSame(await second, { result: 'expired' })
  t.strictSame(gitlab.log, ['get 10'])
})

t.test(
  'a process that may no longer write sends nothing more, and gives up what is under way when the lease is lost',
  async t => {
    const { gitlab, write, sent } = scene()
    let may = true
    const lost = new AbortController()
    const guard = { maySend: () => may, over: lost.signal }
    gitlab.onCall = call => {
      if (call === 'get') may = false
    }
    t.strictSame(await write(10, true, { guard }), { result: 'expired' }, 'between the read and the write')
    t.strictSame(await write(10, true, { guard }), { result: 'expired' })
    t.strictSame(gitlab.log, ['get 10'])
    t.equal(sent(), 0)

    may = true
    gitlab.onCall = () => undefined
    const { signal } = lost
    gitlab.replaceTags = (_id: number, _tags: readonly string[], under?: AbortSignal) =>
      new Promise((_resolve, reject) => under?.addEventListener('abort', () => reject(under.reason as Error)))
    const writing = write(10, true, { guard })
    await settle()
    lost.abort(new Error('no longer the leader'))
    t.match(await writing, { result: 'ambiguous', why: 'no longer the leader' })
    t.ok(signal.aborted)
  },
)

t.test('a call that outlasts its deadline is given up: unclear after the write, a failure before', async t => {
  for (const [call, result] of [
    ['get', 'failed'],
    ['put', 'ambiguous'],
  ] as const) {
    const { clock, gitlab, write } = scene()
    const hanging = (_id: number, signal?: AbortSignal) =>
      new Promise<never>((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error))
      })
    if (call === 'get') gitlab.runner = hanging
    else gitlab.replaceTags = (id: number, _tags: readonly string[], signal?: AbortSignal) => hanging(id, signal)
    const writing = write(10, true)
    await settle()
    clock.advance(19_999)
    const first = await Promise.race([writing, settle().then(() => 'waits')])
    t.equal(first, 'waits')
    clock.advance(1)
    t.match(await writing, { result, why: /./ }, call)
  }
})

t.test('a failure that is none of GitLab’s is unclear after the write, and told in its words', async t => {
  const { gitlab, write } = scene()
  gitlab.onCall = call => {
    if (call === 'put') throw new Error('out of memory')
  }
  t.strictSame(await write(10, true), { result: 'ambiguous', why: 'out of memory' })
})

t.test('twenty writes go out at once, then twenty a second; idle time saves up no more than twenty', async t => {
  const { clock, gitlab, write } = scene()
  for (let id = 100; id < 200; id++) gitlab.add(id, 'runner-a')
  const started = () => gitlab.log.filter(entry => entry.startsWith('get')).length
  const deadline = after(clock, 10_000_000)
  for (let id = 100; id < 130; id++) void write(id, true, { deadline })
  for (let turns = 0; turns < 20; turns++) await settle()
  t.equal(started(), 20)
  for (let more = 1; more <= 3; more++) {
    clock.advance(49)
    await settle()
    t.equal(started(), 19 + more)
    clock.advance(1)
    await settle()
    t.equal(started(), 20 + more)
  }
  for (let more = 0; more < 7; more++) {
    clock.advance(50)
    await settle()
  }
  t.equal(started(), 30)
  clock.advance(3_600_000)
  for (let id = 130; id < 160; id++) void write(id, true, { deadline })
  for (let turns = 0; turns < 20; turns++) await settle()
  t.equal(started(), 50)
})

t.test('pools take turns, and one that waits for its pace holds up nobody for long', async t => {
  const { clock, gitlab, write } = scene()
  for (let id = 100; id < 160; id++) gitlab.add(id, 'runner-a')
  const started = () => gitlab.log.filter(entry => entry.startsWith('get')).map(entry => Number(entry.slice(4)))
  for (let id = 100; id < 130; id++) void write(id, true)
  for (let turns = 0; turns < 20; turns++) await settle()
  for (let id = 130; id < 133; id++) void write(id, true, { mainTag: 'qa-runner' })
  await settle()
  for (let turns = 0; turns < 6; turns++) {
    clock.advance(50)
    await settle()
  }
  t.strictSame(started().slice(20), [120, 130, 121, 131, 122, 132])
})

t.test('what is no longer wanted ends at once, though its pool hangs', async t => {
  const { gitlab, write } = scene()
  for (let id = 100; id < 110; id++) gitlab.add(id, 'runner-a')
  gitlab.onCall = () => new Promise(() => undefined)
  let may = true
  const guard = { maySend: () => may, over: new AbortController().signal }
  for (let id = 100; id < 104; id++) void write(id, true)
  const waiting = write(105, true, { guard })
  await settle()
  may = false
  void write(106, true)
  t.strictSame(await waiting, { result: 'expired' })
})

t.test('writes of another pool do not wait for those of one that hangs', async t => {
  const { gitlab, write } = scene()
  for (let id = 100; id < 110; id++) gitlab.add(id, 'runner-a')
  gitlab.onCall = (_call, subject) => (Number(subject.split(' ')[0]) >= 100 ? new Promise(() => undefined) : undefined)
  for (let id = 100; id < 110; id++) void write(id, true)
  t.strictSame(await write(10, true, { mainTag: 'qa-runner' }), { result: 'done' })
})
