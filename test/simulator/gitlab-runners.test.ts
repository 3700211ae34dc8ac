import t from 'tap'
import { startFurnished, TOKENS } from '../support/gitlab.ts'

const ids = (json: unknown) => (json as { id: number }[]).map(({ id }) => id)

t.test('a group list holds the group, its ancestors and the instance, nothing below and nothing beside', async t => {
  const { ask } = await startFurnished(t)
  const { json } = await ask('GET', '/groups/33/runners', { token: TOKENS.maintainer })
  t.strictSame(ids(json), [1, 2, 3])
  const own = await ask('GET', '/groups/acme%2Fci/runners?type=group_type&tag_list=runner-a,rnd-runner', {
    token: TOKENS.owner,
  })
  t.strictSame(ids(own.json), [1], 'tags are combined with AND, a path works for an id')
  t.strictSame(
    ids((await ask('GET', '/groups/33/runners?tag_list[]=runner-a&tag_list[]=shared', { token: TOKENS.owner })).json),
    [],
  )
})

t.test('list items have no tags, no contact time and no address', async t => {
  const { ask } = await startFurnished(t)
  const { json } = await ask('GET', '/groups/33/runners?type=group_type', { token: TOKENS.owner })
  const [item] = json as Record<string, unknown>[]
  for (const absent of ['tag_list', 'contacted_at', 'run_untagged', 'locked']) t.notOk(absent in (item ?? {}), absent)
  t.match(item, { ip_address: null, online: null, status: 'never_contacted', paused: false, active: true })
})

t.test('per_page=1000 gives 100, the last page has an empty x-next-page', async t => {
  const { ask, state } = await startFurnished(t)
  for (let i = 0; i < 120; i++) state.addRunner({ group: 33, tags: ['many'] })
  const first = await ask('GET', '/groups/33/runners?per_page=1000', { token: TOKENS.owner })
  t.equal(ids(first.json).length, 100)
  t.match(first.headers, { 'x-per-page': '100', 'x-next-page': '2', 'x-total': '123', 'x-total-pages': '2' })
  t.match(first.headers['link'], /page=2[^>]*>; rel="next".*rel="first".*rel="last"/)
  const last = await ask('GET', '/groups/33/runners?per_page=1000&page=2', { token: TOKENS.owner })
  t.equal(ids(last.json).length, 23)
  t.equal(last.headers['x-next-page'], '')
  t.notMatch(last.headers['link'], /rel="next"/)
  const usual = await ask('GET', '/groups/33/runners', { token: TOKENS.owner })
  t.equal(ids(usual.json).length, 20)
})

t.test('above 10,000 rows there is no total and no last page', async t => {
  const { ask, state } = await startFurnished(t)
  for (let i = 0; i < 10_000; i++) state.addRunner({ group: 33, tags: ['many'] })
  const { headers } = await ask('GET', '/groups/33/runners?per_page=1', { token: TOKENS.owner })
  t.notOk('x-total' in headers)
  t.notOk('x-total-pages' in headers)
  t.notMatch(headers['link'], /rel="last"/)
  t.equal(headers['x-next-page'], '2')
})

t.test('what a caller may not see does not exist, and what he may not do is forbidden', async t => {
  const { ask } = await startFurnished(t)
  t.match(await ask('GET', '/groups/33', { token: TOKENS.stranger }), {
    status: 404,
    json: { message: '404 Group Not Found' },
  })
  t.match(await ask('GET', '/projects/101', { token: TOKENS.stranger }), {
    status: 404,
    json: { message: '404 Project Not Found' },
  })
  t.match(await ask('GET', '/groups/33/runners', { token: TOKENS.reporter }), {
    status: 403,
    json: { message: '403 Forbidden' },
  })
  t.match(await ask('GET', '/runners/1', { token: TOKENS.reporter }), {
    status: 403,
    json: { message: '403 Forbidden - No access granted' },
  })
  t.equal((await ask('GET', '/runners/1', { token: TOKENS.maintainer })).status, 200, 'a Maintainer reads')
  t.equal((await ask('PUT', '/runners/1', { token: TOKENS.maintainer, body: { locked: true } })).status, 403)
  t.equal((await ask('GET', '/runners/3', { token: TOKENS.stranger })).status, 200, 'instance runners are for all')
  t.match(await ask('GET', '/runners/99', { token: TOKENS.owner }), {
    status: 404,
    json: { message: '404 Runner Not Found' },
  })
})

t.test('tokens are refused in three shapes', async t => {
  const { ask, state, url } = await startFurnished(t)
  t.match(await ask('GET', '/runners/1'), { status: 401, json: { message: '401 Unauthorized' } })
  t.match(await ask('GET', '/runners/1', { token: 'wrong' }), { status: 401, json: { message: '401 Unauthorized' } })
  t.match(await ask('PUT', '/runners/1', { token: TOKENS.reader, body: { locked: true } }), {
    status: 403,
    json: { error: 'insufficient_scope', scope: 'manage_runner api read_api' },
  })
  state.revokeToken(TOKENS.owner)
  t.match(await ask('GET', '/runners/1', { token: TOKENS.owner }), { status: 401, json: { error: 'invalid_token' } })
  state.addToken({ token: 'old', scopes: ['api'], groups: { 33: 'owner' }, expiresAtMs: state.nowMs() - 1 })
  t.match(await ask('GET', '/runners/1', { token: 'old' }), {
    status: 401,
    json: { error: 'invalid_token', error_description: /expired/ },
  })
  const bearer = await fetch(`${url}/api/v4/runners/1`, { headers: { authorization: `Bearer ${TOKENS.manager}` } })
  t.equal(bearer.status, 200)
})

t.test('manage_runner opens a runner by its id, but no list, no group and no GraphQL', async t => {
  const { ask } = await startFurnished(t)
  const token = TOKENS.manager
  for (const path of ['/runners/1', '/runners/1/managers', '/runners/1/jobs']) {
    t.equal((await ask('GET', path, { token })).status, 200, path)
  }
  t.equal((await ask('PUT', '/runners/1', { token, body: { locked: false } })).status, 200)
  for (const path of ['/runners', '/groups/33/runners', '/groups/33', '/projects/101/runners']) {
    t.equal((await ask('GET', path, { token })).status, 403, path)
  }
  const graphql = await ask('POST', '/api/graphql', { token, body: { query: '{ __typename }' } })
  t.match(graphql, { status: 401, json: { errors: [{ message: 'Invalid token' }] } })
})

t.test('under a relative URL manage_runner opens nothing', async t => {
  const { ask, url } = await startFurnished(t, { relativeRoot: '/gitlab' })
  t.match(url, /\/gitlab$/)
  t.equal((await ask('GET', '/runners/1', { token: TOKENS.manager })).status, 403)
  t.equal((await ask('GET', '/runners/1', { token: TOKENS.owner })).status, 200)
})

t.test('a PUT replaces the whole tag list', async t => {
  const { ask, state } = await startFurnished(t)
  const seen: string[][] = []
  state.onTagChange(({ runnerId, before, after, by }) => seen.push([String(runnerId), ...before, '>', ...after, by]))
  const { status, json } = await ask('PUT', '/runners/1', {
    token: TOKENS.owner,
    body: { tag_list: ['runner-a', ' b ', 'B', 'b'] },
  })
  t.equal(status, 200)
  t.match(json, { id: 1, tag_list: ['runner-a', 'b', 'B'], run_untagged: false })
  t.notOk('projects' in (json as object), 'the answer to a PUT leaves projects out')
  t.match((await ask('PUT', '/runners/1', { token: TOKENS.owner, body: { tag_list: 'x, y' } })).json, {
    tag_list: ['x', 'y'],
  })
  t.strictSame(seen, [
    ['1', 'runner-a', 'rnd-runner', '>', 'runner-a', 'b', 'B', 'token:owner'],
    ['1', 'runner-a', 'b', 'B', '>', 'x', 'y', 'token:owner'],
  ])
  t.equal(state.tagHistory.at(-1)?.runnerId, 1)
})

t.test('wrong tag lists are refused on the key tags_list and change nothing', async t => {
  const { ask, state } = await startFurnished(t)
  const put = (body: unknown) => ask('PUT', '/runners/1', { token: TOKENS.owner, body })
  t.match(await put({ tag_list: [] }), {
    status: 400,
    json: { message: { tags_list: ['can not be empty when runner is not allowed to pick untagged jobs'] } },
  })
  t.match(await put({ tag_list: Array.from({ length: 51 }, (_, i) => `tag-${i}`) }), {
    status: 400,
    json: { message: { tags_list: [/50/] } },
  })
  t.match(await put({ maximum_timeout: 5 }), { status: 400, json: { message: { maximum_timeout: [/10 minutes/] } } })
  t.strictSame(state.runner(1).tags, ['runner-a', 'rnd-runner'])
  t.equal((await put({ tag_list: [], run_untagged: true })).status, 200)
})

t.test('a PUT without a parameter is refused as a parameter error', async t => {
  const { ask } = await startFurnished(t)
  const put = (body: unknown) => ask('PUT', '/runners/1', { token: TOKENS.owner, body })
  t.match(await put({ colour: 'red' }), { status: 400, json: { error: /at least one parameter must be provided$/ } })
  t.match(await put({ active: true, paused: true }), { status: 400, json: { error: /mutually exclusive/ } })
  t.match(await put({ paused: 'maybe' }), { status: 400, json: { error: 'paused is invalid' } })
  const list = await ask('GET', '/groups/33/runners?status=sleepy', { token: TOKENS.owner })
  t.match(list, { status: 400, json: { error: 'status does not have a valid value' } })
  const form = await ask('PUT', '/runners/1', {
    token: TOKENS.owner,
    body: 'paused=true&tag_list[]=runner-a',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  t.match(form, { status: 200, json: { paused: true, tag_list: ['runner-a'] } })
})

t.test('a deleted runner is gone, unless it changed after the given time', async t => {
  const { ask, state } = await startFurnished(t)
  const remove = (since: number) =>
    ask('DELETE', '/runners/1', {
      token: TOKENS.manager,
      headers: { 'if-unmodified-since': new Date(since).toUTCString() },
    })
  t.equal((await remove(state.nowMs() - 60_000)).status, 412)
  t.equal((await remove(state.nowMs() + 60_000)).status, 204)
  t.equal((await ask('GET', '/runners/1', { token: TOKENS.owner })).status, 404)
  t.match(state.tagHistory.at(-1), { runnerId: 1, after: [] })
})

t.test('unknown paths, wrong methods and HEAD', async t => {
  const { ask } = await startFurnished(t)
  t.match(await ask('GET', '/nowhere', { token: TOKENS.owner }), { status: 404, json: { error: '404 Not Found' } })
  t.equal((await ask('POST', '/groups/33/runners', { token: TOKENS.owner })).status, 405)
  const head = await ask('HEAD', '/groups/33/runners', { token: TOKENS.owner })
  t.match(head, { status: 200, headers: { 'x-total': '3' } })
  t.equal(head.text, '')
})

t.test('the Date header is GitLab’s clock, and no log entry holds a token', async t => {
  const { ask, state } = await startFurnished(t)
  state.setClockSkew(-3_600_000)
  const { headers } = await ask('GET', `/runners/1?private_token=${TOKENS.owner}`)
  t.ok(Math.abs(Date.parse(headers['date'] ?? '') - (Date.now() - 3_600_000)) < 5_000)
  t.match(state.requests.at(-1), { method: 'GET', route: '/runners/:id', caller: 'token:owner', status: 200 })
  t.notMatch(JSON.stringify(state.requests), TOKENS.owner)
  t.equal(state.count({ route: '/runners/:id', caller: 'token:owner' }), 1)
})
