import t from 'tap'
import { startFurnished, TOKENS } from '../support/gitlab.ts'

const FILES = '/projects/101/repository/files'
const COMMITS = '/projects/101/repository/commits'
const BRANCHES = '/projects/101/repository/branches'
const token = TOKENS.owner

type GitLab = Awaited<ReturnType<typeof startFurnished>>

const idOf = (json: unknown) => (json as { id: string }).id
const head = async ({ ask }: GitLab, branch = 'main') =>
  ((await ask('GET', `${BRANCHES}/${encodeURIComponent(branch)}`, { token })).json as { commit: { id: string } }).commit
    .id

/** The status file as a decider publishes it: a branch that is one commit on top of a fixed start. */
const publish = (gitlab: GitLab, startSha: string, content: string, more: object = {}, as: string = token) =>
  gitlab.ask('POST', COMMITS, {
    token: as,
    body: {
      branch: 'hadr/a',
      start_sha: startSha,
      force: true,
      stats: false,
      commit_message: 'Publish [skip ci]',
      actions: [{ action: 'create', file_path: 'status.json', content }],
      ...more,
    },
  })

t.test('with force and a fixed start a branch stays one commit deep', async t => {
  const gitlab = await startFurnished(t)
  const start = await head(gitlab)
  const first = await publish(gitlab, start, '{"seq":1}')
  t.match(first, { status: 201, json: { parent_ids: [start], project_id: 101, title: 'Publish [skip ci]' } })
  const second = await publish(gitlab, start, '{"seq":2}')
  t.not(idOf(second.json), idOf(first.json))
  t.equal(gitlab.state.readFile(101, 'hadr/a', 'status.json'), '{"seq":2}')
  t.equal(gitlab.state.commitCount(101, 'hadr/a'), 2, 'the start and one commit')
  t.equal(await head(gitlab, 'hadr/a'), idOf(second.json))
  t.match(gitlab.state.pushes, [
    { branch: 'hadr/a', forced: false, skipCi: true, by: 'token:owner' },
    { branch: 'hadr/a', forced: true, skipCi: true },
  ])
})

t.test('without force a start is refused when the branch exists', async t => {
  const gitlab = await startFurnished(t)
  const start = await head(gitlab)
  await publish(gitlab, start, 'one')
  const refused = await publish(gitlab, start, 'two', { force: false })
  t.match(refused, { status: 400, json: { message: /^A branch called 'hadr\/a' already exists/ } })
  t.equal(gitlab.state.readFile(101, 'hadr/a', 'status.json'), 'one')
})

t.test('wrong starts and actions are refused with the words of GitLab', async t => {
  const gitlab = await startFurnished(t)
  const start = await head(gitlab)
  const message = async (more: object) => {
    const { status, json } = await publish(gitlab, start, 'x', more)
    t.equal(status, 400)
    return (json as { message: string }).message
  }
  t.equal(await message({ start_branch: 'main' }), "You can't pass both start_branch and start_sha")
  t.equal(await message({ start_sha: 'main' }), "Invalid start_sha 'main'")
  t.match(await message({ start_sha: 'f'.repeat(40) }), /^Cannot find start_sha/)
  t.match(await message({ start_sha: undefined, start_branch: 'none' }), /when you are on a branch$/)
  t.match(await message({ actions: [] }), /at least one action/)
  t.match(await message({ actions: [{ action: 'create', file_path: 'README.md' }] }), /already exists$/)
  t.match(await message({ actions: [{ action: 'update', file_path: 'none' }] }), /doesn't exist$/)
  t.match(await message({ actions: [{ action: 'sing', file_path: 'none' }] }), /^Unknown action/)
  t.match(await message({ commit_message: '' }), /commit_message is required$/)
  t.match(await message({ branch: 'main/sub' }), /hierarchy/, 'a branch cannot be a folder of another')
})

t.test('an update with the same content is an empty commit, not an error', async t => {
  const gitlab = await startFurnished(t)
  const start = await head(gitlab)
  const again = { branch: 'main', start_sha: undefined, force: false, actions: [] as object[] }
  const content = gitlab.state.readFile(101, 'main', 'README.md') ?? ''
  again.actions = [{ action: 'update', file_path: 'README.md', content }]
  t.match(await publish(gitlab, start, '', again), { status: 201, json: { parent_ids: [start] } })
  t.equal(gitlab.state.commitCount(101, 'main'), 2)
})

t.test('a protected branch takes pushes from its list only, and force only where it is allowed', async t => {
  const gitlab = await startFurnished(t)
  const start = await head(gitlab)
  const { state } = gitlab
  state.addToken({ token: 'bot-a', name: 'bot-a', scopes: ['api'], projects: { 101: 'developer' } })
  state.protect({ project: 101, branch: 'hadr/*', pushTokens: ['bot-a'], allowForce: false })
  t.match(await publish(gitlab, start, 'x'), {
    status: 403,
    json: { message: '403 Forbidden - You are not allowed to push into this branch' },
  })
  t.equal((await publish(gitlab, start, 'one', {}, 'bot-a')).status, 201)
  t.match(await publish(gitlab, start, 'two', {}, 'bot-a'), {
    status: 400,
    json: { message: /not allowed to force push/ },
  })
  state.protect({ project: 101, branch: 'hadr/*', pushTokens: ['bot-a'], allowForce: true })
  t.equal((await publish(gitlab, start, 'two', {}, 'bot-a')).status, 201)
  const control = { branch: 'main', content: '{}', commit_message: 'Pause' }
  t.match(await gitlab.ask('POST', `${FILES}/control.json`, { token: 'bot-a', body: control }), {
    status: 400,
    json: { message: 'You are not allowed to push into this branch' },
  })
  t.equal((await gitlab.ask('POST', `${FILES}/control.json`, { token: TOKENS.maintainer, body: control })).status, 201)
})

t.test('a file can be created once; exactly one of many creators wins', async t => {
  const { ask, state } = await startFurnished(t)
  const create = (content: string) =>
    ask('POST', `${FILES}/epochs%2F000001.json`, {
      token,
      body: { branch: 'hadr-history', start_branch: 'main', content, commit_message: 'x [skip ci]' },
    })
  const first = await create('first')
  t.match(first, { status: 201, json: { file_path: 'epochs/000001.json', branch: 'hadr-history' } })
  t.notOk('id' in (first.json as object), 'the answer names no commit')
  t.match(await create('again'), { status: 400, json: { message: /^A branch called/ } }, 'a start needs a new branch')

  const race = await Promise.all(
    ['a', 'b', 'c'].map(content =>
      ask('POST', `${FILES}/epochs%2F000002.json`, {
        token,
        body: { branch: 'hadr-history', content, commit_message: 'x' },
      }),
    ),
  )
  t.strictSame(race.map(({ status }) => status).sort(), [201, 400, 400])
  t.match(race.find(({ status }) => status === 400)?.json, { message: 'A file with this name already exists' })
  t.match(state.readFile(101, 'hadr-history', 'epochs/000002.json'), /^[abc]$/)
})

t.test('last_commit_id refuses a stale write with 400, and is skipped where the path was unknown', async t => {
  const gitlab = await startFurnished(t)
  const { ask } = gitlab
  const before = await head(gitlab)
  const put = (content: string, last?: string) =>
    ask('PUT', `${FILES}/README.md`, {
      token,
      body: { branch: 'main', content, commit_message: 'x', last_commit_id: last },
    })
  const other = { branch: 'main', content: 'x', commit_message: 'x' }
  t.equal((await ask('POST', `${FILES}/other`, { token, body: other })).status, 201)
  t.match(await put('one', before), { status: 200, json: { file_path: 'README.md', branch: 'main' } })
  t.match(await put('two', before), {
    status: 400,
    json: { message: 'You are attempting to update a file that has changed since you started editing it.' },
  })
  t.equal((await put('two', await head(gitlab))).status, 200, 'any commit with the same last change is accepted')
  t.equal((await put('three', 'f'.repeat(40))).status, 200, 'an unknown commit is no conflict')
  const action = { action: 'update', file_path: 'README.md', content: 'x', last_commit_id: before }
  const commit = await ask('POST', COMMITS, { token, body: { branch: 'main', commit_message: 'x', actions: [action] } })
  t.match(commit, { status: 400, json: { message: 'The file has changed since you started editing it: README.md' } })
})

t.test('files are read as JSON, raw and by HEAD; what is missing is told apart', async t => {
  const gitlab = await startFurnished(t)
  const { ask } = gitlab
  const commitId = await head(gitlab)
  const file = await ask('GET', `${FILES}/README.md?ref=refs%2Fheads%2Fmain`, { token })
  t.match(file, {
    status: 200,
    json: {
      file_name: 'README.md',
      encoding: 'base64',
      ref: 'refs/heads/main',
      commit_id: commitId,
      last_commit_id: commitId,
    },
  })
  t.equal(Buffer.from((file.json as { content: string }).content, 'base64').toString(), '# hadr\n')
  t.equal((await ask('GET', `${FILES}/README.md/raw`, { token })).text, '# hadr\n')
  t.match((await ask('HEAD', `${FILES}/README.md?ref=main`, { token })).headers, {
    'x-gitlab-blob-id': (file.json as { blob_id: string }).blob_id,
    'x-gitlab-last-commit-id': commitId,
  })
  t.match((await ask('GET', `${FILES}/none?ref=main`, { token })).json, { message: '404 File Not Found' })
  t.match((await ask('GET', `${FILES}/README.md?ref=none`, { token })).json, { message: '404 Commit Not Found' })
  t.match((await ask('GET', `${FILES}/README.md`, { token })).json, { error: 'ref is missing' })
})

t.test('code needs a Reporter, pushing a Developer, and read_repository opens files but nothing else', async t => {
  const { ask, state } = await startFurnished(t)
  state.addToken({ token: 'guest', scopes: ['api'], projects: { 101: 'guest' } })
  state.addToken({ token: 'repo', scopes: ['read_repository'], projects: { 101: 'reporter' } })
  const seen = await ask('GET', '/projects/101', { token: 'guest' })
  t.equal(seen.status, 200)
  t.notOk('default_branch' in (seen.json as object))
  t.equal((await ask('GET', `${FILES}/README.md?ref=main`, { token: 'guest' })).status, 403)
  t.equal((await ask('GET', `${FILES}/README.md?ref=main`, { token: 'repo' })).status, 200)
  t.equal((await ask('GET', '/projects/101', { token: 'repo' })).status, 403)
  const body = { branch: 'main', content: 'x', commit_message: 'x' }
  t.equal((await ask('POST', `${FILES}/x`, { token: TOKENS.reporter, body })).status, 403)
  t.match((await ask('POST', `${FILES}/x`, { token, body: {} })).json, {
    error: 'branch is missing, commit_message is missing, content is missing',
  })
})

t.test('branches are created once, from a branch or a commit', async t => {
  const gitlab = await startFurnished(t)
  const { ask } = gitlab
  const create = (branch: string, ref: string) => ask('POST', BRANCHES, { token, body: { branch, ref } })
  t.match(await create('lock', 'main'), { status: 201, json: { name: 'lock', commit: { id: await head(gitlab) } } })
  t.match(await create('lock', 'main'), { status: 400, json: { message: 'Branch already exists' } })
  t.match(await create('two', 'none'), { status: 400, json: { message: /invalid reference name 'none'/ } })
  t.match(await create('lock/x', 'main'), { status: 400, json: { message: /hierarchy/ } })
  t.match(await create('a..b', 'main'), { status: 400, json: { message: 'Branch name is invalid' } })
  t.match((await ask('GET', BRANCHES, { token })).json, [
    { name: 'lock' },
    { name: 'main', default: true, protected: true },
  ])
  t.equal((await ask('GET', `${BRANCHES}/none`, { token })).status, 404)
  t.equal((await ask('DELETE', `${BRANCHES}/lock`, { token })).status, 204)
  t.equal((await ask('DELETE', `${BRANCHES}/main`, { token })).status, 405)
})
