import t from 'tap'
import { createFurnished, startFurnished, TOKENS } from '../support/gitlab.ts'

type Ask = ReturnType<typeof createFurnished>['ask']
interface Result {
  data?: Record<string, unknown>
  errors?: { message: string }[]
}

async function query(ask: Ask, text: string, options: { token?: string; variables?: object } = {}): Promise<Result> {
  const { token = TOKENS.owner, variables } = options
  const reply = await ask('POST', '/api/graphql', { token, body: { query: text, variables } })
  t.equal(reply.status, 200)
  return reply.json as Result
}

const POOL = `query($group: ID!, $after: String) {
  group(fullPath: $group) {
    runners(membership: DIRECT, type: GROUP_TYPE, first: 50, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes {
        id description shortSha runnerType paused status contactedAt runUntagged locked tagList
        managers(first: 5) { nodes { systemId status ipAddress contactedAt createdAt version } }
      }
    }
  }
}`

t.test('one query tells runners with their tags and managers', async t => {
  const { ask } = await startFurnished(t)
  const poll = { token: 'glrt-t2_aaaaaaaaaaaa', system_id: 's_aaaaaaaaaaaa', info: { version: '19.4.0' } }
  await ask('POST', '/jobs/request', { body: poll, headers: { 'x-forwarded-for': '203.0.113.7' } })
  const { data, errors } = await query(ask, POOL, { variables: { group: 'acme/ci' } })
  t.notOk(errors)
  t.match(data, {
    group: {
      runners: {
        pageInfo: { hasNextPage: false },
        nodes: [
          {
            id: 'gid://gitlab/Ci::Runner/1',
            shortSha: 'aaaaaaaa',
            runnerType: 'GROUP_TYPE',
            status: 'ONLINE',
            tagList: ['runner-a', 'rnd-runner'],
            contactedAt: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
            managers: {
              nodes: [{ systemId: 's_aaaaaaaaaaaa', status: 'ONLINE', ipAddress: '203.0.113.7', version: '19.4.0' }],
            },
          },
        ],
      },
    },
  })
})

t.test('without a membership the list goes down the tree, not up as over REST', async t => {
  const { ask } = createFurnished(t)
  const list = async (group: string, membership = '') => {
    const { data } = await query(ask, `{ group(fullPath: "${group}") { runners${membership} { nodes { id } } } }`, {
      token: TOKENS.admin,
    })
    const { runners } = data?.['group'] as { runners: { nodes: { id: string }[] } }
    return runners.nodes.map(({ id }) => Number(id.split('/').at(-1))).sort()
  }
  t.strictSame(await list('acme'), [1, 2, 4, 5], 'subgroups and projects below')
  t.strictSame(await list('acme/ci'), [1, 4])
  t.strictSame(await list('acme/ci', '(membership: DIRECT)'), [1])
  t.strictSame(await list('acme/ci', '(membership: ALL_AVAILABLE)'), [1, 2, 3])
})

t.test('what is invisible is null, a refused list is an error', async t => {
  const { ask } = createFurnished(t)
  const both = '{ group(fullPath: "acme/ci") { id } project(fullPath: "acme/ci/hadr") { id } }'
  t.strictSame((await query(ask, both, { token: TOKENS.stranger })).data, { group: null, project: null })
  t.strictSame((await query(ask, '{ runner(id: "gid://gitlab/Ci::Runner/5") { id } }')).data, { runner: null })
  const refused = await query(ask, '{ group(fullPath: "acme/ci") { id runners { count } } }', {
    token: TOKENS.reporter,
  })
  t.match(refused, { errors: [{ message: /don't have permission/ }], data: { group: { runners: null } } })
  t.match(await query(ask, '{ runners { count } }'), { errors: [{ message: /don't have permission/ }] })
  t.match(await query(ask, '{ runners { count } }', { token: TOKENS.admin }), { data: { runners: { count: 5 } } })
})

t.test('a wrong query is refused as a whole, in the words of GitLab', async t => {
  const { ask } = createFurnished(t)
  const error = async (text: string, variables?: object) =>
    (await query(ask, text, { ...(variables && { variables }) })).errors?.[0]
  const runner = (fields: string) => `{ runner(id: "gid://gitlab/Ci::Runner/1") { ${fields} } }`
  const group = (args: string) => `{ group(fullPath: "acme/ci") { runners(${args}) { count } } }`
  t.match(await error(runner('ipAddress')), {
    message: "Field 'ipAddress' doesn't exist on type 'CiRunner'",
    locations: [{ line: 1 }],
    extensions: { code: 'undefinedField' },
  })
  t.match(await error(group('colour: "red"')), {
    message: "Field 'runners' doesn't accept argument 'colour'",
    extensions: { code: 'argumentNotAccepted' },
  })
  t.match(await error(group('status: PAUSED')), { extensions: { code: 'argumentLiteralsIncompatible' } })
  t.match(await error('{ runner(id: 1) { id } }'), { message: /Ci::Runner/, extensions: { code: /./ } })
  t.match(await error('query($id: ID!) { runner(id: $id) { id } }', { id: 'gid://gitlab/Ci::Runner/1' }), {
    message: 'Type mismatch on variable $id (ID! / CiRunnerID!)',
  })
  t.match(await error('query($id: CiRunnerID!) { runner(id: $id) { id } }', { id: '1' }), {
    message: 'Variable $id was provided invalid value',
  })
  t.match(await error('query($id: RunnerID!) { runner(id: $id) { id } }'), { message: /isn't a defined input type/ })
  t.match(await error(group('after: "?"')), { message: /valid cursor/ })
  t.match(await error('{ group'), { message: /^Parse error/ })
})

t.test('a query above 250 points is refused before it runs, and the points are those of GitLab', async t => {
  const { ask } = createFurnished(t)
  const cost = async (text: string) => {
    const { errors } = await query(ask, text)
    return Number(/has complexity of (\d+)/.exec(errors?.[0]?.message ?? '')?.[1] ?? 0)
  }
  const aliases = (count: number, body: string) => Array.from({ length: count }, (_, i) => `a${i}: ${body}`).join(' ')
  const runner = 'runner(id: "gid://gitlab/Ci::Runner/1") { id }'
  t.equal(await cost(`{ ${aliases(125, runner)} }`), 0, '125 times 2 points are 250')
  t.equal(await cost(`{ ${aliases(126, runner)} }`), 252)
  // nodes (1) with one field (1), plus the connection (1): 3; twice that for a full page; plus the group (1).
  const group = (args: string) => `group(fullPath: "acme/ci") { runners${args} { nodes { id } } }`
  t.equal(await cost(`{ ${aliases(36, group(''))} }`), 36 * 7)
  t.equal(await cost(`{ ${aliases(63, group('(first: 1)'))} }`), 63 * 4)
  t.equal(await cost(`{ ${aliases(20, group('(search: "cluster", sort: CREATED_ASC)'))} }`), 20 * 19)
  // nodes (1) with a field (1), the resolver (1), one per path (2), Gitaly (1): 6, doubled; repository (1), project (1).
  const blobs = 'project(fullPath: "acme/ci/hadr") { repository { blobs(paths: ["a", "b"]) { nodes { rawBlob } } } }'
  t.equal(await cost(`{ ${aliases(18, blobs)} }`), 18 * 14)
  t.match(
    await query(ask, POOL.replace('first: 50', 'first: 100').replace('first: 5', 'first: 100'), {
      variables: { group: 'acme/ci' },
    }),
    { data: {} },
    'nested full pages still fit',
  )
  t.equal(
    await cost(`{ ${aliases(63, 'group(fullPath: "acme/ci") { ...F runners(first: 1) { nodes { id } } }')} }
    fragment F on Group { id @skip(if: true) }`),
    63 * 4,
    'fragments count, skipped fields do not',
  )
})

t.test('an administrator has 300 points, a stranger 200; a query may be 10,000 characters long', async t => {
  const { ask } = createFurnished(t)
  const names = (count: number) => `{ ${Array.from({ length: count }, (_, i) => `a${i}: __typename`).join(' ')} }`
  t.notOk((await query(ask, names(300), { token: TOKENS.admin })).errors)
  t.ok((await query(ask, names(251))).errors)
  const anonymous = await ask('POST', '/api/graphql', { body: { query: names(201) } })
  t.match(anonymous.json, { errors: [{ message: /max complexity of 200/ }] })
  const long = await ask('POST', '/api/graphql', { token: TOKENS.owner, body: { query: ' '.repeat(10_001) } })
  t.match(long, { status: 422, json: { errors: [{ message: 'Query too large' }] } })
})

t.test('pages hold 100 at most and go on where the last one ended, even when runners went', async t => {
  const { ask, state } = createFurnished(t)
  for (let i = 0; i < 150; i++) state.addRunner({ group: 33, tags: ['many'] })
  const page = async (after: string | null) => {
    const text = `query($after: String) { group(fullPath: "acme/ci") {
      runners(tagList: ["many"], first: 1000, after: $after) { count nodes { id } pageInfo { hasNextPage endCursor } } } }`
    const { data } = await query(ask, text, { variables: { after } })
    return (data?.['group'] as { runners: Runners }).runners
  }
  interface Runners {
    count: number
    nodes: { id: string }[]
    pageInfo: { hasNextPage: boolean; endCursor: string }
  }
  const first = await page(null)
  t.match(first, { count: 150, pageInfo: { hasNextPage: true } })
  const rest = await page(first.pageInfo.endCursor)
  t.equal(rest.nodes.length, 50)
  t.equal(new Set([...first.nodes, ...rest.nodes].map(({ id }) => id)).size, 150, 'each once')
  t.equal(first.nodes.length, 100)
  const last = first.nodes.at(-1)?.id ?? ''
  state.removeRunner(Number(last.split('/').at(-1)))
  const second = await page(first.pageInfo.endCursor)
  t.equal(second.nodes.length, 50)
  t.equal(second.pageInfo.hasNextPage, false)
})

t.test('search finds words in descriptions and whole tokens; managers are found by system id', async t => {
  const { ask, state } = createFurnished(t)
  state.addRunner({ id: 50, group: 33, tags: ['x'], description: 'Runner-Manager-7f-xyz' })
  const found = async (search: string) => {
    const text = `query($search: String) { group(fullPath: "acme/ci") { runners(search: $search) { nodes { id } } } }`
    const { data } = await query(ask, text, { variables: { search } })
    return (data?.['group'] as { runners: { nodes: { id: string }[] } }).runners.nodes.map(({ id }) => id)
  }
  t.strictSame(await found('manager-7f'), ['gid://gitlab/Ci::Runner/50'])
  t.strictSame(await found('glrt-t2_aaaaaaaaaaaa'), ['gid://gitlab/Ci::Runner/1'])
  t.strictSame(await found('7f'), [], 'two letters must be the whole description')
  for (const systemId of ['s_1', 's_2']) {
    await ask('POST', '/jobs/request', { body: { token: 'glrt-t2_aaaaaaaaaaaa', system_id: systemId } })
  }
  const one = `{ runner(id: "gid://gitlab/Ci::Runner/1") { managers(systemId: "s_2") { count nodes { systemId } } } }`
  t.strictSame((await query(ask, one)).data, { runner: { managers: { count: 1, nodes: [{ systemId: 's_2' }] } } })
})

t.test('files of several branches come in one query; a missing path or branch leaves its node out', async t => {
  const { ask } = createFurnished(t)
  const blobs = (ref: string, path = 'README.md') =>
    `blobs(ref: "${ref}", paths: ["none", "${path}"]) { nodes { path oid rawBlob rawTextBlob } }`
  const { data } = await query(
    ask,
    `{ project(fullPath: "acme/ci/hadr") { id repository { rootRef main: ${blobs('refs/heads/main')} gone: ${blobs('hadr/gone')} } } }`,
    { token: TOKENS.reader },
  )
  t.match(data, {
    project: {
      id: 'gid://gitlab/Project/101',
      repository: {
        rootRef: 'main',
        main: { nodes: [{ path: 'README.md', rawBlob: '# hadr\n', rawTextBlob: '# hadr\n' }] },
        gone: { nodes: [] },
      },
    },
  })
  const { project } = data as { project: { repository: { main: { nodes: object[] }; gone: { nodes: object[] } } } }
  t.equal(project.repository.main.nodes.length, 1)
  t.equal(project.repository.gone.nodes.length, 0)
  const bad = await query(ask, `{ project(fullPath: "acme/ci/hadr") { repository { ${blobs('a..b')} } } }`)
  t.match(bad.errors, [{ message: 'Ref is not valid' }])
})

t.test('GraphQL can be off', async t => {
  const { ask, state } = createFurnished(t, { graphql: false })
  const off = await ask('POST', '/api/graphql', { token: TOKENS.owner, body: { query: '{ __typename }' } })
  t.equal(off.status, 404)
  state.graphql(true)
  t.strictSame((await query(ask, '{ __typename }')).data, { __typename: 'Query' })
})
