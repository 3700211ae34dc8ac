import t from 'tap'
import { fanOut } from '../../lib/gitlab/fan-out.ts'

const turn = () => new Promise<void>(resolve => setImmediate(resolve))

t.test('results come in the order of the items and no more run at once than allowed', async t => {
  let running = 0
  let most = 0
  const results = await fanOut([3, 1, 2, 0], 2, async turns => {
    most = Math.max(most, ++running)
    for (let left = turns; left > 0; left--) await turn()
    running--
    return `${turns} turns`
  })
  t.same(results, ['3 turns', '1 turns', '2 turns', '0 turns'])
  t.equal(most, 2)
})

t.test('after a failure nothing new starts, and what is under way ends before it is told', async t => {
  const started: string[] = []
  const ended: string[] = []
  const failing = fanOut(['slow', 'bad', 'late', 'later'], 2, async item => {
    started.push(item)
    await turn()
    if (item === 'bad') throw new Error('no')
    await turn()
    ended.push(item)
  })
  await t.rejects(failing, { message: 'no' })
  t.same(started, ['slow', 'bad'])
  t.same(ended, ['slow'])
})

t.test('no items are no work', async t => {
  t.same(await fanOut([], 4, () => Promise.reject(new Error('never'))), [])
})
