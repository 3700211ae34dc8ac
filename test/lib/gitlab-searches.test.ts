import t from 'tap'
import { complexityOf } from './gitlab-schema.ts'
import { createClient, errorOf, sendJson, startServer } from './gitlab-server.ts'

interface Query {
  query: string
  variables: Record<string, unknown>
}

const PAGE = { hasNextPage: false, endCursor: null }

function runner(id: number, managers: readonly object[] = []) {
  const state = { description: `r${id}`, paused: false, status: 'ONLINE', contactedAt: null, locked: false }
  return { id: `gid://gitlab/Ci::Runner/${id}`, ...state, tagList: ['runner-a'], managers: { nodes: managers } }
}

const MANAGER = { systemId: 'r_1', status: 'ONLINE', contactedAt: '2026-01-01T00:00:00Z' }

t.test(
  'many runners and their managers are few queries, in the order asked for, and one that is gone is null',
  async t => {
    const queries: Query[] = []
    const { url } = await startServer(t, ({ body }, response) => {
      const query = JSON.parse(body) as Query
      queries.push(query)
      const ids = Object.entries(query.variables).filter(([name]) => name.startsWith('r'))
      const data = ids.map(([alias, gid]) => {
        const id = Number(String(gid).split('/').at(-1))
        return [alias, id === 3 ? null : runner(id, id === 2 ? [] : [MANAGER])] as const
      })
      sendJson(response, { data: Object.fromEntries<unknown>(data) })
    })
    const wanted = Array.from({ length: 20 }, (_, index) => ({ id: index + 1, systemId: 'r_1' }))
    const found = await createClient(t, url).runnersWithManager(wanted)
    t.equal(found.length, 20)
    t.match(found[0], {
      runner: { id: 1, tags: ['runner-a'] },
      manager: { systemId: 'r_1', online: true, contactedAtMs: Date.UTC(2026, 0, 1) },
    })
    t.match(found[1], { runner: { id: 2 }, manager: null })
    t.equal(found[2], null)
    t.equal(found[19]?.runner.id, 20)
    t.equal(queries.length, 2)
    for (const { query } of queries) t.ok(complexityOf(query) <= 250 * 0.9, `complexity ${complexityOf(query)}`)
  },
)

t.test('an answer about another runner, or a missing alias, is invalid', async t => {
  let data: object = { r0: runner(2) }
  const { url } = await startServer(t, (_request, response) => sendJson(response, { data }))
  const client = createClient(t, url)
  t.equal((await errorOf(client.runnersWithManager([{ id: 1, systemId: 'r_1' }]))).kind, 'invalid_answer')
  data = {}
  t.equal((await errorOf(client.runnersWithManager([{ id: 1, systemId: 'r_1' }]))).kind, 'invalid_answer')
})

t.test('nothing wanted is nothing asked', async t => {
  const { url, requests } = await startServer(t, (_request, response) => sendJson(response, {}))
  t.same(await createClient(t, url).runnersWithManager([]), [])
  t.equal(requests.length, 0)
})

t.test('a search over GraphQL narrows on the server and says which runner has the manager', async t => {
  const queries: Query[] = []
  const { url } = await startServer(t, ({ path, body }, response) => {
    if (path.startsWith('/api/v4/groups/33')) {
      sendJson(response, { full_path: 'top/runners' })
      return
    }
    const query = JSON.parse(body) as Query
    queries.push(query)
    const nodes = [
      { ...runner(1, [{ systemId: 'r_1' }]), shortSha: 'abcdefgh' },
      { ...runner(2), shortSha: null },
    ]
    const pageInfo = query.variables['after'] === null ? { hasNextPage: true, endCursor: 'next' } : PAGE
    sendJson(response, { data: { group: { id: 'gid://gitlab/Group/33', runners: { nodes, pageInfo } } } })
  })
  const client = createClient(t, url)
  const search = { description: 'pod-1', systemId: 'r_1', perPage: 500, via: 'graphql' as const }
  const page = await client.groupRunnerPage(33, search)
  t.same(page, {
    runners: [
      { id: 1, description: 'r1', shortSha: 'abcdefgh', hasManager: true },
      { id: 2, description: 'r2', hasManager: false },
    ],
    nextCursor: 'next',
  })
  const last = await client.groupRunnerPage('top/runners', { perPage: 20, cursor: 'next', via: 'graphql' })
  t.notOk('nextCursor' in last)
  t.same(last.runners[1], { id: 2, description: 'r2' })
  t.same(
    queries.map(({ variables }) => variables),
    [
      { group: 'top/runners', search: 'pod-1', after: null, systemId: 'r_1' },
      { group: 'top/runners', search: null, after: 'next' },
    ],
  )
  for (const { query } of queries) t.ok(complexityOf(query) < 60)
  t.match(queries[0]?.query, 'first: 100')
})

t.test('a search in a group that the token may not see is an error, by id and by path', async t => {
  const { url } = await startServer(t, ({ path }, response) => {
    if (path.startsWith('/api/v4/groups')) sendJson(response, { full_path: 'top/runners' })
    else sendJson(response, { data: { group: null } })
  })
  const client = createClient(t, url)
  for (const group of [33, '33', 'top/runners']) {
    t.equal((await errorOf(client.groupRunnerPage(group, { perPage: 20, via: 'graphql' }))).kind, 'not_found')
  }
})

t.test('a search over REST pages through the group runners', async t => {
  const { url, requests } = await startServer(t, ({ path }, response) =>
    sendJson(response, [{ id: 1, description: null, paused: false, online: true }], 200, {
      'x-next-page': path.includes('&page=1') ? '2' : '',
    }),
  )
  const client = createClient(t, url)
  const first = await client.groupRunnerPage('top/sub', { description: 'x', systemId: 'r_1', perPage: 1, via: 'rest' })
  t.same(first, { runners: [{ id: 1, description: null }], nextCursor: '2' })
  const last = await client.groupRunnerPage('top/sub', { perPage: 1, cursor: '2', via: 'rest' })
  t.same(last, { runners: [{ id: 1, description: null }] })
  t.match(requests, [
    { path: '/api/v4/groups/top%2Fsub/runners?type=group_type&per_page=1&page=1' },
    { path: '/api/v4/groups/top%2Fsub/runners?type=group_type&per_page=1&page=2' },
  ])
})
