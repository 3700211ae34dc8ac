import t from 'tap'
import type { Observation, PoolConfig, PoolStatus } from '../../decider/model.ts'
import { inKeeping, unreadWord } from '../../decider/word.ts'
import { quiet } from './scenario.ts'

/** What is under way, in words. */
function withSaid(scene: ReturnType<typeof quiet>) {
  return { ...scene, said: () => scene.decider.late.map(({ status }) => claimOf(status)) }
}

/** Cluster a holds, b has taken over by a higher claim, and what a publishes from now on is under way for long. */
function yieldingLate() {
  const scene = quiet('a', 'a')
  scene.peer.says({ active: true, epoch: 4 })
  scene.peer.tag()
  scene.decider.publishing = 'late'
  scene.world.step(10)
  return withSaid(scene)
}

/** Nobody serves any more, and what a publishes from now on is under way for long. */
function claimingLate() {
  const scene = quiet('a', 'b')
  scene.peer.dies()
  scene.peer.untag()
  scene.decider.publishing = 'late'
  scene.world.secondsUntil(() => scene.decider.promotes !== undefined, 300)
  // Heartbeats before it.
  scene.decider.late.splice(0, scene.decider.late.length - 1)
  return withSaid(scene)
}

const claimOf = ({ epoch, active }: Pick<PoolStatus, 'epoch' | 'active'>) =>
  `${active ? 'active' : 'inactive'}, epoch ${epoch}`

t.test('a claim that was given up is not said again while that is under way', t => {
  const { world, own, decider, said } = yieldingLate()
  t.strictSame(said(), ['inactive, epoch 3'])
  world.run(30)
  t.equal(decider.plan.state, 'ACTIVE', 'the file still claims')
  t.ok(said().length > 1, 'and a heartbeat went out')
  t.strictSame(new Set(said()), new Set(['inactive, epoch 3']))
  decider.lands()
  world.step(10)
  t.equal(own.status?.active, false)
  t.equal(decider.plan.state, 'STANDBY')
  t.end()
})

t.test('nor when the older publish lands after the newer one', t => {
  const { world, own, decider } = yieldingLate()
  decider.publishing = 'works'
  world.run(30)
  t.equal(own.status?.active, false)
  own.file = { kind: 'read', seq: own.seq - 8, status: { ...own.status, active: true } as PoolStatus }
  world.run(30)
  t.equal(own.status?.active, false, 'the next one puts that right')
  t.end()
})

t.test('a claim on its way is made again with its own epoch, as long as nobody serves', t => {
  const { world, own, decider, said } = claimingLate()
  t.strictSame(said(), ['active, epoch 4'])
  world.step(10)
  t.strictSame(said(), ['active, epoch 4', 'active, epoch 4'])
  t.equal(decider.promotes, 'emergency')
  decider.lands()
  world.step(10)
  t.equal(own.status?.epoch, 4)
  t.equal(decider.plan.state, 'ACTIVE')
  t.end()
})

t.test('a claim on its way that is no longer wanted is given up, and not made a second time', t => {
  const { world, own, peer, decider, said } = claimingLate()
  peer.speaks = true
  peer.says({ active: true, epoch: 3 })
  peer.tag()
  own.untag()
  world.run(30)
  t.strictSame(said().slice(0, 2), ['active, epoch 4', 'inactive, epoch 4'])
  peer.dies()
  peer.untag()
  world.secondsUntil(() => decider.promotes !== undefined, 300)
  t.equal(said().at(-1), 'active, epoch 5')
  t.end()
})

t.test('what was seen since counts for more: a claim is above every epoch', t => {
  const { world, peer, said } = claimingLate()
  peer.says({ active: false, epoch: 7 })
  world.run(60)
  t.strictSame([...new Set(said())].slice(0, 2), ['active, epoch 4', 'active, epoch 8'])
  t.end()
})

t.test('a file that is newer than the own word is another process’s, and is right', t => {
  const { world, own, decider, said } = yieldingLate()
  own.file = { kind: 'read', seq: own.seq + 10, status: { ...own.status, epoch: 6, active: true } as PoolStatus }
  world.run(20)
  t.equal(decider.plan.state, 'ACTIVE')
  t.equal(said().at(-1), 'active, epoch 6')
  t.end()
})

t.test('a part in keeping with a word', t => {
  const part = (epoch: number, active: boolean) => ({ epoch, active }) as PoolStatus
  const rows: [PoolStatus, [number, boolean] | undefined, string][] = [
    [part(1, true), undefined, 'active, epoch 1'],
    [part(1, true), [1, true], 'active, epoch 1'],
    [part(1, true), [1, false], 'inactive, epoch 1'],
    [part(1, false), [1, true], 'inactive, epoch 1'],
    [part(1, true), [2, true], 'active, epoch 2'],
    [part(1, false), [2, true], 'inactive, epoch 2'],
    [part(3, true), [2, false], 'active, epoch 3'],
  ]
  for (const [one, word, expected] of rows) {
    t.equal(claimOf(inKeeping(one, word && { seq: 9, epoch: word[0], active: word[1] })), expected)
  }
  t.end()
})

t.test('a word counts until the own file shows it or a later one', t => {
  const word = { seq: 9, epoch: 2, active: true }
  const seen = (readable: boolean, file: object | undefined, ownWord = word as typeof word | undefined) =>
    unreadWord(
      { gitlab: { readable, files: { a: file } }, outcomes: { ownWord } } as unknown as Observation,
      {
        self: 'a',
      } as PoolConfig,
    )
  t.equal(seen(true, { kind: 'read', seq: 8 }), word)
  t.equal(seen(true, { kind: 'read', seq: 9 }), undefined)
  t.equal(seen(true, { kind: 'read', seq: 10 }), undefined)
  t.equal(seen(true, { kind: 'absent' }), word)
  t.equal(seen(true, { kind: 'unreadable', why: 'x', seq: 10 }), word, 'what is not understood shows nothing')
  t.equal(seen(true, undefined), word)
  t.equal(seen(false, { kind: 'read', seq: 10 }), word, 'nor does what cannot be read')
  t.equal(seen(true, { kind: 'read', seq: 10 }, undefined), undefined)
  t.end()
})
