import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createJobStore, type StoreOptions } from '../../decider/jobs/store.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { documentOf } from './document.ts'

const DAY = 86_400_000

function metricsOf(id: number, uid = `uid-${id}`, warnings: string[] = []) {
  const { job, pod } = documentOf()
  return documentOf({ job: { ...job, id }, pod: { ...pod, uid }, warnings })
}

const SIZE = Buffer.byteLength(`${JSON.stringify(metricsOf(1))}\n`)

async function open(t: Test, more: Partial<StoreOptions> = {}) {
  const folder = more.folder ?? join(t.testdir(), 'jobs')
  const errors: string[] = []
  const store = createJobStore({
    folder,
    maxAgeMs: DAY,
    maxBytes: 1024 * 1024,
    clock: systemClock,
    log: silentLog,
    onError: operation => errors.push(operation),
    ...more,
  })
  await store.open()
  return { store, folder, errors }
}

t.test('what is put is there, and still there for the process that comes after', async t => {
  const { store, folder } = await open(t)
  t.equal(await store.put(metricsOf(1)), true)
  t.equal(store.has(1, 'uid-1'), true)
  t.equal(store.has(1, 'another pod'), false)
  t.equal(store.bytes, SIZE)

  const { store: next } = await open(t, { folder })
  t.strictSame([next.jobs, next.bytes, next.has(1, 'uid-1')], [1, SIZE, true])
  t.strictSame(await next.get(1), metricsOf(1))
  t.equal(await next.get(2), undefined)
})

t.test('of a job with several pods the newest is shown', async t => {
  const clock = createManualClock()
  const { store } = await open(t, { clock })
  await store.put(metricsOf(1, 'first'))
  await clock.advance(1000)
  await store.put(metricsOf(1, 'second'))
  t.match(await store.get(1), { pod: { uid: 'second' } })
})

t.test('beyond the size the oldest go, beyond the age all that are older', async t => {
  const clock = createManualClock(Date.now())
  const { store, folder } = await open(t, { clock, maxBytes: 3 * SIZE })
  for (const id of [1, 2, 3, 4]) {
    await store.put(metricsOf(id))
    await clock.advance(1000)
  }
  t.strictSame([store.has(1, 'uid-1'), store.has(2, 'uid-2'), store.jobs], [false, true, 3])
  t.equal(readdirSync(folder).length, 3)
  await clock.advance(2 * DAY)
  await store.put(metricsOf(5))
  t.strictSame([store.jobs, readdirSync(folder)], [1, ['5-uid-5.json']])
  await clock.advance(2 * DAY)
  await store.tidy()
  t.strictSame([store.jobs, store.bytes, readdirSync(folder)], [0, 0, []], 'also when no new ones come')
})

t.test('at the start old files and halves of files go, and what is not ours stays', async t => {
  const folder = join(t.testdir(), 'jobs')
  mkdirSync(folder)
  writeFileSync(join(folder, '1-old.json'), '{}')
  const longAgo = new Date(Date.now() - 2 * DAY)
  utimesSync(join(folder, '1-old.json'), longAgo, longAgo)
  writeFileSync(join(folder, '.partial-2-x.json'), '{"half')
  writeFileSync(join(folder, 'README'), 'mine')
  writeFileSync(join(folder, '3-new.json'), '{}')
  const { store, errors } = await open(t, { folder })
  t.strictSame(readdirSync(folder).sort(), ['3-new.json', 'README'])
  t.strictSame([store.jobs, errors], [1, []])
  t.equal(await store.get(3), undefined, 'a file that says nothing is told and forgotten')
  t.strictSame([store.jobs, errors], [0, ['read']])
})

t.test('a full disk is counted, makes the oldest go, and never throws', async t => {
  const disk = { room: 10 * (SIZE + 8) }
  const { store, folder, errors } = await open(t, {
    write: async (path, text) => {
      const used = readdirSync(folder).reduce((sum, name) => sum + readFileSync(join(folder, name)).length, 0)
      if (used + text.length > disk.room) {
        await writeFile(path, text.slice(0, 10))
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
      }
      await writeFile(path, text)
    },
  })
  for (let id = 1; id <= 11; id++) t.equal(await store.put(metricsOf(id)), true, `job ${id}`)
  t.strictSame([errors, store.has(1, 'uid-1'), store.has(11, 'uid-11')], [['write'], false, true])
  disk.room = 0
  t.equal(await store.put(metricsOf(12)), false)
  t.equal(readdirSync(folder).filter(name => name.startsWith('.partial')).length, 0, 'nothing half is left')
  t.ok(store.jobs >= 8, 'what is kept stays')
})

t.test('a folder that cannot be used keeps nothing and hurts nobody', async t => {
  const folder = join(t.testdir({ file: '' }), 'file', 'jobs')
  const { store, errors } = await open(t, { folder })
  t.equal(await store.put(metricsOf(1)), false)
  t.strictSame([errors, store.jobs, await store.get(1)], [['open', 'write'], 0, undefined])
})
