import t, { type Test } from 'tap'
import type { FileAddress } from '../../lib/gitlab/types.ts'
import { complexityOf } from './gitlab-schema.ts'
import { createClient, errorOf, sendJson, shiftableClock, startServer, type Received } from './gitlab-server.ts'

const DATE = 'Fri, 02 Jan 2026 03:04:05 GMT'
const WANTED = { group: 33, project: 101 }

interface Query {
  query: string
  variables: Record<string, unknown>
}
interface CheckedQuery extends Query {
  complexity: number
}
interface Part {
  alias: string
  kind: 'runners' | 'file'
  tag: string
  after: unknown
  branch: string
  path: string
}
type Answers = (part: Part) => unknown

/** The aliases of a query as the client writes it, with what their variables hold. */
function partsOf({ query, variables }: Query): Part[] {
  const first = (value: unknown) => (Array.isArray(value) ? String(value[0]) : '')
  return [...query.matchAll(/(p(\d+)): (runners|blobs)/g)].map(([, alias = '', index = '', field]) => ({
    alias,
    kind: field === 'runners' ? 'runners' : 'file',
    tag: first(variables[`t${index}`]),
    after: variables[`a${index}`],
    branch: String(variables[`r${index}`]),
    path: first(variables[`f${index}`]),
  }))
}

function connection(nodes: readonly object[], more: { count?: number; after?: string } = {}) {
  const { count = nodes.length, after } = more
  return { count, nodes, pageInfo: { hasNextPage: after !== undefined, endCursor: after ?? null } }
}

function runner(id: number, tagList: readonly string[], more: object = {}) {
  const gid = `gid://gitlab/Ci::Runner/${id}`
  const state = { description: `r${id}`, paused: false, status: 'ONLINE', locked: false }
  return { id: gid, ...state, contactedAt: '2026-01-02T03:00:00Z', tagList, ...more }
}

function blob(path: string, rawTextBlob: string | null) {
  return { nodes: [{ path, rawTextBlob }] }
}

function dataFor(query: Query, answer: Answers) {
  const parts = partsOf(query)
  const entries = (kind: Part['kind']) =>
    Object.fromEntries(parts.filter(part => part.kind === kind).map(part => [part.alias, answer(part)]))
  return {
    group: { id: 'gid://gitlab/Group/33', ...entries('runners') },
    project: { id: 'gid://gitlab/Project/101', repository: entries('file') },
  }
}

function answerPath(path: string): object | undefined {
  if (path === '/api/v4/groups/33?with_projects=false') return { id: 33, full_path: 'top/runners' }
  if (path === '/api/v4/projects/101') return { id: 101, path_with_namespace: 'top/hadr' }
  return undefined
}

/** A GitLab whose GraphQL gives each alias what `answer` returns. Every query is checked against GitLab's schema. */
async function startGraphql(t: Test, answer: Answers) {
  const queries: CheckedQuery[] = []
  const { url, requests } = await startServer(t, ({ path, body }, response) => {
    if (path !== '/api/graphql') {
      sendJson(response, answerPath(path) ?? {}, answerPath(path) ? 200 : 404)
      return
    }
    const query = JSON.parse(body) as Query
    const complexity = complexityOf(query.query)
    queries.push({ ...query, complexity })
    sendJson(response, { data: dataFor(query, answer) }, 200, { date: DATE })
  })
  return { url, requests, queries }
}

t.test('one query reads the runners of all tags and the files, after the paths are known', async t => {
  const { url, requests, queries } = await startGraphql(t, ({ kind, tag, path }) => {
    if (kind === 'file') return path === 'control.json' ? { nodes: [] } : blob(path, '{"seq":7}')
    const a = runner(1, ['main', 'runner-a'], { status: 'NEVER_CONTACTED', contactedAt: null, description: null })
    return connection(
      tag === 'main' ? [a] : [a, runner(2, ['runner-a'], { status: 'STALE', paused: true, locked: true })],
    )
  })
  const files = [
    { branch: 'hadr/a', path: 'status.json' },
    { branch: 'main', path: 'control.json' },
  ]
  const client = createClient(t, url)
  const reading = await client.readPool({ ...WANTED, tags: ['main', 'runner-a'], files })
  t.same(reading, {
    serverMs: Date.parse(DATE),
    runners: [
      {
        id: 1,
        description: null,
        paused: false,
        online: null,
        tags: ['main', 'runner-a'],
        locked: false,
        contactedAtMs: null,
      },
      {
        id: 2,
        description: 'r2',
        paused: true,
        online: false,
        tags: ['runner-a'],
        locked: true,
        contactedAtMs: Date.UTC(2026, 0, 2, 3),
      },
    ],
    tagsComplete: true,
    contactKnown: true,
    files: ['{"seq":7}', null],
  })
  t.equal(queries.length, 1)
  t.match(queries[0]?.variables, { group: 'top/runners', project: 'top/hadr' })
  await client.readPool({ ...WANTED, tags: ['main'], files })
  t.same(
    requests.map(({ path }) => path),
    ['/api/v4/groups/33?with_projects=false', '/api/v4/projects/101', '/api/graphql', '/api/graphql'],
    'the paths are remembered',
  )
})

t.test('five clusters fit into one query, more are cut into several, and none is too complex', async t => {
  const { url, queries } = await startGraphql(t, ({ kind, path }) =>
    kind === 'file' ? blob(path, 'x') : connection([]),
  )
  const client = createClient(t, url)
  for (const clusters of [1, 2, 5, 6, 20]) {
    queries.length = 0
    const names = Array.from({ length: clusters }, (_, index) => `cluster-${index}`)
    const files = ['control', ...names].map(name => ({ branch: name, path: 'status.json' }))
    const reading = await client.readPool({ ...WANTED, tags: ['main', ...names], files })
    t.same(
      reading.files,
      files.map(() => 'x'),
    )
    t.equal(queries.length === 1, clusters <= 5, `${clusters} clusters in ${queries.length} queries`)
    for (const { complexity } of queries) t.ok(complexity <= 250 * 0.85, `complexity ${complexity}`)
  }
})

t.test('only the connection that has more is asked for its next pages', async t => {
  const pages = [[1, 2], [3, 4], [5]].map(ids => ids.map(id => runner(id, ['main'])))
  const { url, queries } = await startGraphql(t, ({ tag, after }) => {
    if (tag !== 'main') return connection([runner(9, ['runner-b'])])
    const page = Number(after ?? 0)
    return connection(pages[page] ?? [], { count: 5, ...(page < 2 ? { after: String(page + 1) } : {}) })
  })
  const { runners } = await createClient(t, url).readPool({ ...WANTED, tags: ['main', 'runner-b'], files: [] })
  t.same(
    runners.map(({ id }) => id),
    [1, 2, 9, 3, 4, 5],
  )
  t.same(
    queries.map(query => partsOf(query).map(({ tag, after }) => [tag, after])),
    [
      [
        ['main', null],
        ['runner-b', null],
      ],
      [['main', '1']],
      [['main', '2']],
    ],
  )
})

t.test('pages without end are an error after a bound', async t => {
  const { url, queries } = await startGraphql(t, () => connection([runner(1, ['main'])], { count: 1, after: 'again' }))
  const error = await errorOf(createClient(t, url).readPool({ ...WANTED, tags: ['main'], files: [] }))
  t.match(error, { kind: 'invalid_answer', message: /at most 5000/ })
  t.equal(queries.length, 50)
})

t.test('a runner whose tags no longer hold what was asked for is left out', async t => {
  const { url } = await startGraphql(t, () => connection([runner(1, ['main']), runner(2, ['Main'])]))
  const { runners } = await createClient(t, url).readPool({ ...WANTED, tags: ['main'], files: [] })
  t.match(runners, [{ id: 1 }])
  t.equal(runners.length, 1)
})

t.test('a token for the group alone never touches the project, and the other way round', async t => {
  const { url, requests, queries } = await startGraphql(t, ({ kind, path }) =>
    kind === 'file' ? blob(path, 'x') : connection([]),
  )
  const client = createClient(t, url)
  t.same((await client.readPool({ ...WANTED, tags: ['main'], files: [] })).files, [])
  t.notMatch(queries[0]?.query, /project/)
  t.notOk(requests.some(({ path }) => path.includes('projects/101')))
  requests.length = 0
  queries.length = 0
  const files = [{ branch: 'main', path: 'control.json' }]
  t.same((await client.readPool({ ...WANTED, tags: [], files })).files, ['x'])
  t.notMatch(queries[0]?.query, /group/)
  t.notOk(requests.some(({ path }) => path.includes('groups/33')))
  requests.length = 0
  t.match(await client.readPool({ ...WANTED, tags: [], files: [] }), { runners: [], files: [] })
  t.equal(requests.length, 0)
})

t.test('a file that is there but is no text reads as empty, not as absent', async t => {
  const { url } = await startGraphql(t, ({ path }) => blob(path, null))
  const files = [{ branch: 'main', path: 'control.json' }]
  t.same((await createClient(t, url).readPool({ ...WANTED, tags: [], files })).files, [''])
})

t.test('branches and tags with characters of GraphQL are data, not query', async t => {
  const odd = 'a"}) { id } #\n\\u0000é'
  const { url, queries } = await startGraphql(t, ({ kind, path }) =>
    kind === 'file' ? blob(path, path) : connection([runner(1, [odd])]),
  )
  const wanted = { ...WANTED, tags: [odd], files: [{ branch: odd, path: odd }] }
  t.match(await createClient(t, url).readPool(wanted), { runners: [{ tags: [odd] }], files: [odd] })
  t.notMatch(queries[0]?.query, /u0000|é/)
})

const FILES: readonly FileAddress[] = [{ branch: 'hadr/b', path: 'status.json' }]

/** Replies that must never pass for "no runners" or "no file". */
const LOSSES: readonly (readonly [name: string, body: (data: ReturnType<typeof dataFor>) => unknown, kind: string])[] =
  [
    ['an invisible group', data => ({ data: { ...data, group: null } }), 'not_found'],
    ['an invisible project', data => ({ data: { ...data, project: null } }), 'not_found'],
    [
      'another group under the same path',
      data => ({ data: { ...data, group: { ...data.group, id: 'gid://gitlab/Group/34' } } }),
      'not_found',
    ],
    [
      'another project under the same path',
      data => ({ data: { ...data, project: { ...data.project, id: 'gid://gitlab/Project/7' } } }),
      'not_found',
    ],
    [
      'no right to read code',
      data => ({ data: { ...data, project: { ...data.project, repository: null } } }),
      'forbidden',
    ],
    [
      'no right to read runners',
      data => ({
        data: { ...data, group: { ...data.group, p0: null } },
        errors: [
          {
            message:
              "The resource that you are attempting to access does not exist or you don't have permission to perform this action",
            path: ['group', 'p0'],
          },
        ],
      }),
      'forbidden',
    ],
    ['runners of null', data => ({ data: { ...data, group: { ...data.group, p0: null } } }), 'invalid_answer'],
    [
      'runners left out in silence',
      data => ({ data: { ...data, group: { ...data.group, p0: connection([], { count: 2 }) } } }),
      'invalid_answer',
    ],
    [
      'a runner of null',
      data => ({ data: { ...data, group: { ...data.group, p0: { ...connection([]), nodes: [null] } } } }),
      'invalid_answer',
    ],
    [
      'a runner without tags to see',
      data => ({ data: { ...data, group: { ...data.group, p0: connection([runner(1, [], { tagList: null })]) } } }),
      'invalid_answer',
    ],
    [
      'another file than the one asked for',
      data => ({ data: { ...data, project: { ...data.project, repository: { p1: blob('other.json', '{}') } } } }),
      'invalid_answer',
    ],
    ['a missing alias', data => ({ data: { ...data, group: { id: data.group.id } } }), 'invalid_answer'],
    ['no data', () => ({ data: null }), 'invalid_answer'],
    [
      "GitLab's own timeout",
      data => ({ data, errors: [{ message: 'Request timed out. Please try a less complex query.' }] }),
      'unavailable',
    ],
  ]
for (const [name, body, kind] of LOSSES) {
  t.test(`${name} fails the reading as ${kind}, without a detour over REST`, async t => {
    const { url, requests } = await startServer(t, ({ path, body: sent }, response) => {
      const found = answerPath(path)
      if (found) sendJson(response, found)
      else
        sendJson(
          response,
          body(dataFor(JSON.parse(sent) as Query, ({ kind }) => (kind === 'file' ? { nodes: [] } : connection([])))),
        )
    })
    const error = await errorOf(createClient(t, url).readPool({ ...WANTED, tags: ['main'], files: FILES }))
    t.equal(error.kind, kind)
    t.notOk(requests.some(({ path }) => /runners\?|files/.test(path)))
  })
}

t.test('the paths are looked up again after a group was not found', async t => {
  let moved = false
  const { url, requests } = await startServer(t, ({ path, body }, response) => {
    if (path.startsWith('/api/v4/groups')) sendJson(response, { full_path: moved ? 'new/runners' : 'top/runners' })
    else {
      const query = JSON.parse(body) as Query
      const visible = (query.variables['group'] === 'new/runners') === moved
      sendJson(response, { data: { group: visible ? dataFor(query, () => connection([])).group : null } })
    }
  })
  const client = createClient(t, url)
  const wanted = { ...WANTED, tags: ['main'], files: [] }
  await client.readPool(wanted)
  moved = true
  t.equal((await errorOf(client.readPool(wanted))).kind, 'not_found')
  t.same((await client.readPool(wanted)).runners, [])
  t.equal(requests.filter(({ path }) => path.startsWith('/api/v4/groups')).length, 2)
})

t.test('a later page that fails makes the whole reading fail', async t => {
  const { url } = await startServer(t, ({ path, body }, response) => {
    if (path !== '/api/graphql') sendJson(response, answerPath(path))
    else if (body.includes('"next"')) sendJson(response, {}, 500)
    else {
      const data = dataFor(JSON.parse(body) as Query, () =>
        connection([runner(1, ['main'])], { count: 2, after: 'next' }),
      )
      sendJson(response, { data })
    }
  })
  const error = await errorOf(createClient(t, url).readPool({ ...WANTED, tags: ['main'], files: [] }))
  t.equal(error.kind, 'unavailable')
})

/** A GitLab without a usable GraphQL, whose REST lists and files are `lists` and `files`. */
async function startRest(t: Test, rest: (request: Received) => [body: unknown, status?: number, headers?: object]) {
  const gitlab = { graphql: [{}, 404] as [unknown, number], rest }
  const server = await startServer(t, (request, response) => {
    const known = answerPath(request.path)
    if (known) sendJson(response, known)
    else if (request.path === '/api/graphql') sendJson(response, ...gitlab.graphql)
    else sendJson(response, ...gitlab.rest(request))
  })
  return { ...server, gitlab }
}

const listed = (id: number, more: object = {}) => ({ id, description: `r${id}`, paused: false, online: true, ...more })
const base64 = (text: string) => ({
  encoding: 'base64',
  content: Buffer.from(text).toString('base64'),
  size: Buffer.byteLength(text),
})

const CLOSED: readonly (readonly [name: string, answer: [unknown, number]])[] = [
  ['a 404', [{ message: '404 Not Found' }, 404]],
  ['a 403', [{ message: '403 Forbidden' }, 403]],
  ['a 405', [{ error: '405 Not Allowed' }, 405]],
  [
    'an unknown field',
    [
      {
        errors: [
          {
            message: "Field 'count' doesn't exist on type 'CiRunnerConnection'",
            extensions: { code: 'undefinedField' },
          },
        ],
      },
      200,
    ],
  ],
  [
    'too much complexity',
    [{ errors: [{ message: 'Query has complexity of 260, which exceeds max complexity of 250' }] }, 200],
  ],
]
for (const [name, answer] of CLOSED) {
  t.test(`${name} from GraphQL leads to REST, where a runner's tags are those it was asked for`, async t => {
    const { url, requests, gitlab } = await startRest(t, ({ path }) => {
      if (path.includes('/files/')) return [base64('{"seq":7}')]
      return [path.includes('tag_list=main') ? [listed(1)] : [listed(1), listed(2, { online: null, paused: true })]]
    })
    gitlab.graphql = answer
    const reading = await createClient(t, url).readPool({ ...WANTED, tags: ['main', 'runner a'], files: FILES })
    t.match(reading, { tagsComplete: false, contactKnown: false, files: ['{"seq":7}'] })
    t.same(reading.runners, [
      { id: 1, description: 'r1', paused: false, online: true, tags: ['main', 'runner a'], contactedAtMs: null },
      { id: 2, description: 'r2', paused: true, online: null, tags: ['runner a'], contactedAtMs: null },
    ])
    t.type(reading.serverMs, 'number')
    t.same(
      requests
        .map(({ path }) => path)
        .slice(3)
        .sort(),
      [
        '/api/v4/groups/33/runners?type=group_type&per_page=100&page=1&tag_list=main',
        '/api/v4/groups/33/runners?type=group_type&per_page=100&page=1&tag_list=runner%20a',
        '/api/v4/projects/101/repository/files/status.json?ref=refs%2Fheads%2Fhadr%2Fb',
      ],
    )
  })
}

t.test('GraphQL gets another chance ten minutes after it could not be used', async t => {
  const clock = shiftableClock()
  const { url, requests } = await startRest(t, () => [[]])
  const client = createClient(t, url, { clock })
  const asked = async () => {
    requests.length = 0
    await client.readPool({ ...WANTED, tags: ['main'], files: [] })
    return requests.some(({ path }) => path === '/api/graphql')
  }
  t.equal(await asked(), true)
  t.equal(await asked(), false)
  clock.shiftMs += 590_000
  t.equal(await asked(), false)
  clock.shiftMs += 15_000
  t.equal(await asked(), true)
})

t.test('GraphQL that is merely down does not lead to REST', async t => {
  const { url, gitlab, requests } = await startRest(t, () => [[]])
  gitlab.graphql = [{}, 502]
  t.equal((await errorOf(createClient(t, url).readPool({ ...WANTED, tags: ['main'], files: [] }))).kind, 'unavailable')
  gitlab.graphql = [{ errors: [{ message: 'Invalid token' }] }, 401]
  t.equal((await errorOf(createClient(t, url).readPool({ ...WANTED, tags: ['main'], files: [] }))).kind, 'unauthorized')
  t.notOk(requests.some(({ path }) => path.includes('tag_list')))
})

t.test('REST lists are followed to their last page', async t => {
  const { url } = await startRest(t, ({ path }) => {
    const page = Number(/&page=(\d+)/.exec(path)?.[1])
    return [[listed(page)], 200, { 'x-next-page': page < 3 ? String(page + 1) : '', 'x-total': '3' }]
  })
  const { runners } = await createClient(t, url).readPool({ ...WANTED, tags: ['main'], files: [] })
  t.same(
    runners.map(({ id }) => id),
    [1, 2, 3],
  )
})

const full = Array.from({ length: 100 }, (_, index) => listed(index + 1))
const PARTIAL: readonly (readonly [name: string, body: unknown, headers: object])[] = [
  ['a full page without paging headers', full, {}],
  ['a list shorter than its total', [listed(1)], { 'x-next-page': '', 'x-total': '2' }],
  ['a page that leads to itself', [listed(1)], { 'x-next-page': '1' }],
  ['a next page that is no number', [listed(1)], { 'x-next-page': 'two' }],
  ['a list that is none', { runners: [] }, {}],
  ['an element that is no runner', [{ id: 1 }], {}],
]
for (const [name, body, headers] of PARTIAL) {
  t.test(`${name} is never taken for the whole list`, async t => {
    const { url, requests } = await startRest(t, () => [body, 200, headers])
    const error = await errorOf(createClient(t, url).readPool({ ...WANTED, tags: ['main'], files: [] }))
    t.equal(error.kind, 'invalid_answer')
    t.equal(requests.filter(({ path }) => path.includes('tag_list')).length, 1)
  })
}

t.test('REST pages without end are an error after a bound', async t => {
  const { url, requests } = await startRest(t, ({ path }) => {
    const page = Number(/&page=(\d+)/.exec(path)?.[1])
    return [[listed(page)], 200, { 'x-next-page': String(page + 1) }]
  })
  const error = await errorOf(createClient(t, url).readPool({ ...WANTED, tags: ['main'], files: [] }))
  t.match(error, { kind: 'invalid_answer', message: /more than 5000/ })
  t.equal(requests.filter(({ path }) => path.includes('tag_list')).length, 50)
})

t.test('over REST a missing file or branch is null, a missing project or right is an error', async t => {
  const { url, gitlab } = await startRest(t, () => [{ message: '404 File Not Found' }, 404])
  const client = createClient(t, url)
  const read = () => client.readPool({ ...WANTED, tags: [], files: FILES })
  t.same((await read()).files, [null])
  gitlab.rest = () => [{ message: '404 Commit Not Found' }, 404]
  t.same((await read()).files, [null])
  gitlab.rest = () => [{ message: '404 Project Not Found' }, 404]
  t.equal((await errorOf(read())).kind, 'not_found')
  gitlab.rest = () => ['<html>nothing here</html>', 404]
  t.equal((await errorOf(read())).kind, 'not_found')
  gitlab.rest = () => [{ message: '403 Forbidden' }, 403]
  t.equal((await errorOf(read())).kind, 'forbidden')
  gitlab.rest = () => [{ ...base64('{"seq":7}'), content: 'eyJz' }]
  t.equal((await errorOf(read())).kind, 'invalid_answer', 'truncated content')
  gitlab.rest = () => [base64('a\0b')]
  t.same((await read()).files, [''], 'a file that is no text')
})

t.test('one failing list or file fails the whole reading over REST', async t => {
  const { url, requests } = await startRest(t, ({ path }) =>
    path.includes('runner-c') ? [{ message: '403 Forbidden' }, 403] : [[listed(1)]],
  )
  const tags = ['runner-a', 'runner-b', 'runner-c', 'runner-d', 'runner-e', 'runner-f', 'runner-g']
  t.equal((await errorOf(createClient(t, url).readPool({ ...WANTED, tags, files: FILES }))).kind, 'forbidden')
  t.notOk(
    requests.some(({ path }) => path.includes('/files/')),
    'and nothing more is asked',
  )
})
