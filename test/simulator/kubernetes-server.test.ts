import t from 'tap'
import { KubernetesError } from '../../lib/kubernetes/errors.ts'
import { open, startApi } from '../support/kubernetes.ts'

const pods = { method: 'GET', path: '/api/v1/namespaces/default/pods', subject: 'pods' } as const

void t.test('a stopped server breaks open watches, refuses connections, and comes back with its objects', async t => {
  const api = await startApi(t)
  api.state.put('secrets', { metadata: { name: 'kept', namespace: 'default' } })
  const { connection, client } = await open(t, api)
  const query = { watch: '1', resourceVersion: String(api.state.version) }
  const reading = (async () => {
    for await (const line of connection.lines({ ...pods, query })) t.comment(line)
  })()
  await client.secret('default', 'kept')
  // The watch must be open before the server stops.
  while (!api.state.requests.some(({ verb }) => verb === 'watch')) await new Promise(resolve => setTimeout(resolve, 5))
  await new Promise(resolve => setTimeout(resolve, 50))
  await api.stop()
  await t.rejects(reading, KubernetesError)
  await t.rejects(client.secret('default', 'kept'), KubernetesError)
  await api.start()
  t.equal((await client.secret('default', 'kept')).metadata.name, 'kept')
})

void t.test('a watch that the client leaves keeps no timer and no connection busy', async t => {
  const api = await startApi(t)
  const { connection } = await open(t, api)
  const leaving = new AbortController()
  const reading = (async () => {
    const query = { watch: '1', allowWatchBookmarks: 'true' }
    for await (const line of connection.lines({ ...pods, query, signal: leaving.signal })) t.comment(line)
  })()
  while (api.connectionCount() === 0) await new Promise(resolve => setTimeout(resolve, 5))
  leaving.abort(new Error('left'))
  await t.rejects(reading, KubernetesError)
  while (api.connectionCount() > 0) await new Promise(resolve => setTimeout(resolve, 5))
  t.pass('the connection is closed')
})

void t.test('closing twice is closing once', async t => {
  const api = await startApi(t)
  await api.close()
  await api.close()
  t.equal(api.connectionCount(), 0)
})
