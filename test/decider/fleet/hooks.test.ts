import { once } from 'node:events'
import { request } from 'node:http'
import t, { type Test } from 'tap'
import { type JobEvent, createHookServer, readJobEvent } from '../../../decider/fleet/hooks.ts'
import { silentLog } from '../../../lib/service/log.ts'

const TOKEN = 'hook-secret-0123456789'
const event = (more: object = {}) =>
  JSON.stringify({ object_kind: 'build', build_status: 'pending', tags: ['rnd-runner'], ...more })

async function startHooks(t: Test, token: () => Promise<string | undefined> = () => Promise.resolve(TOKEN)) {
  const events: JobEvent[] = []
  const counted: string[] = []
  const server = createHookServer({
    listen: { host: '127.0.0.1', port: 0 },
    token,
    onEvent: seen => {
      events.push(seen)
      return true
    },
    count: result => counted.push(result),
    log: silentLog,
  })
  await server.start()
  t.teardown(() => server.stop())
  const url = `http://127.0.0.1:${server.address()?.port ?? 0}`
  const post = async (body: string, headers: Record<string, string> = { 'x-gitlab-token': TOKEN }) => {
    const answer = await fetch(`${url}/hooks/jobs`, { method: 'POST', body, headers })
    return answer.status
  }
  return { url, events, counted, post }
}

t.test('an event of a waiting job with the right token is taken, with its tags', async t => {
  const { post, events, counted } = await startHooks(t)
  t.equal(await post(event()), 204)
  t.equal(await post(event({ tags: undefined, build_status: 'created' })), 204)
  t.same(events, [{ tags: ['rnd-runner'] }, { tags: undefined }])
  t.same(counted, ['taken', 'taken'])
})

t.test('without the right token nothing is read', async t => {
  const { post, events, counted } = await startHooks(t)
  for (const headers of [
    {},
    { 'x-gitlab-token': '' },
    { 'x-gitlab-token': `${TOKEN}x` },
    { 'x-gitlab-token': 'hook' },
  ]) {
    t.equal(await post(event(), headers as Record<string, string>), 401)
  }
  t.same(events, [])
  t.same(counted, ['refused', 'refused', 'refused', 'refused'])
})

t.test('a token that cannot be read, or is empty, refuses everybody', async t => {
  for (const token of [
    () => Promise.resolve(undefined),
    () => Promise.resolve(''),
    () => Promise.reject(new Error('gone')),
  ]) {
    const { post } = await startHooks(t, token)
    t.equal(await post(event(), { 'x-gitlab-token': '' }), 401)
    t.equal(await post(event()), 401)
  }
})

t.test('events that do not matter are answered, so that GitLab does not switch the webhook off', async t => {
  const { post, events, counted } = await startHooks(t)
  for (const body of [
    event({ build_status: 'success' }),
    event({ object_kind: 'push' }),
    'not json',
    '[]',
    'null',
    '',
  ]) {
    t.equal(await post(body), 204, body)
  }
  t.same(events, [])
  t.same(new Set(counted), new Set(['ignored']))
})

t.test('another path, another method and a body that is too large are refused', async t => {
  const { url, post, events } = await startHooks(t)
  t.equal((await fetch(`${url}/`, { method: 'POST' })).status, 404)
  t.equal((await fetch(`${url}/hooks/jobs`)).status, 405)
  t.equal(await post(event({ filler: 'x'.repeat(300_000) })), 413)
  t.same(events, [])
})

t.test('a sender that breaks off does no harm', async t => {
  const { url, post } = await startHooks(t)
  const broken = request(`${url}/hooks/jobs`, {
    method: 'POST',
    headers: { 'x-gitlab-token': TOKEN, 'content-length': '1000' },
  })
  broken.on('error', () => undefined)
  broken.write('{')
  await once(broken, 'socket')
  broken.destroy()
  t.equal(await post(event()), 204)
})

t.test('tags that are no texts are left out', t => {
  t.same(readJobEvent(event({ tags: ['a', 3, null] })), { tags: ['a'] })
  t.same(readJobEvent(event({ tags: 'a' })), { tags: undefined })
  t.end()
})
