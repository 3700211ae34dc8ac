import t, { type Test } from 'tap'
import { createClient, errorOf, sendJson, startServer } from './gitlab-server.ts'

const WRITE = {
  project: 101,
  branch: 'hadr/a',
  startSha: 'abc123',
  path: 'status.json',
  content: '{"seq":1}',
  message: 'Status of cluster a [skip ci]',
}

t.test('a branch file is replaced by one forced commit from a fixed start', async t => {
  const { url, requests } = await startServer(t, (_request, response) => sendJson(response, { id: 'def456' }, 201))
  t.same(await createClient(t, url).replaceBranchFile(WRITE), { commitId: 'def456' })
  t.match(requests, [{ method: 'POST', path: '/api/v4/projects/101/repository/commits' }])
  t.equal(requests[0]?.headers['content-type'], 'application/json')
  t.same(JSON.parse(requests[0]?.body ?? ''), {
    branch: 'hadr/a',
    start_sha: 'abc123',
    force: true,
    commit_message: 'Status of cluster a [skip ci]',
    actions: [{ action: 'create', file_path: 'status.json', content: '{"seq":1}' }],
    stats: false,
  })
})

t.test('a commit that GitLab refuses is refused, one that Gitaly lost is ambiguous', async t => {
  let message = 'You are not allowed to push into this branch'
  const { url, requests } = await startServer(t, (_request, response) => sendJson(response, { message }, 400))
  const client = createClient(t, url)
  t.match(await errorOf(client.replaceBranchFile(WRITE)), { kind: 'refused', ambiguous: false })
  message = '4:Deadline Exceeded'
  t.match(await errorOf(client.replaceBranchFile(WRITE)), { kind: 'unavailable', ambiguous: true })
  t.equal(requests.length, 2)
})

t.test('a commit whose answer is lost or unreadable is ambiguous and not sent again', async t => {
  let lost = true
  const { url, requests } = await startServer(t, (_request, response) => {
    if (lost) response.socket?.destroy()
    else sendJson(response, {}, 201)
  })
  const client = createClient(t, url)
  t.match(await errorOf(client.replaceBranchFile(WRITE)), { kind: 'unavailable', ambiguous: true })
  lost = false
  t.match(await errorOf(client.replaceBranchFile(WRITE)), { kind: 'invalid_answer', ambiguous: true })
  t.equal(requests.length, 2)
})

const NEW_FILE = {
  project: 101,
  branch: 'hadr-history',
  startBranch: 'main',
  path: 'pool/7-a.json',
  content: '{}',
  message: 'Switch',
}

/** A GitLab with one repository: branches and their files, and the refusals of `Commits::CreateService`. */
async function startRepository(t: Test, branches: Record<string, string[]>, words = GITLAB_WORDS) {
  const hooks: { beforeWrite: () => void } = { beforeWrite: () => undefined }
  const server = await startServer(t, ({ method, path, body }, response) => {
    const { pathname, searchParams } = new URL(path, 'http://gitlab')
    const [, , , , , , kind, name = ''] = pathname.split('/')
    const target = decodeURIComponent(name)
    if (kind === 'branches') {
      const found = target in branches
      sendJson(response, found ? { commit: { id: 'c1' } } : { message: '404 Branch Not Found' }, found ? 200 : 404)
    } else if (method === 'GET') {
      const files = branches[(searchParams.get('ref') ?? '').replace('refs/heads/', '')]
      const found = files?.includes(target)
      sendJson(
        response,
        found ? { encoding: 'base64', content: 'e30=', size: 2 } : { message: '404 File Not Found' },
        found ? 200 : 404,
      )
    } else {
      hooks.beforeWrite()
      const { branch, start_branch: start } = JSON.parse(body) as { branch: string; start_branch?: string }
      const files = branches[branch]
      const refusal =
        start === undefined && !files
          ? words.noBranch
          : start !== undefined && files
            ? words.branchExists
            : files?.includes(target)
              ? words.fileExists
              : undefined
      if (refusal === undefined) branches[branch] = [...(files ?? []), target]
      sendJson(
        response,
        refusal === undefined ? { file_path: target, branch } : { message: refusal },
        refusal ? 400 : 201,
      )
    }
  })
  return { ...server, hooks, branches }
}

const GITLAB_WORDS = {
  noBranch: 'You can only create or edit files when you are on a branch',
  branchExists: "A branch called 'hadr-history' already exists. Switch to that branch in order to make changes",
  fileExists: 'A file with this name already exists',
}
const TRANSLATED = { noBranch: 'Kein Zweig', branchExists: 'Zweig vorhanden', fileExists: 'Datei vorhanden' }

t.test('a new file on a branch that exists is one request', async t => {
  const { url, requests, branches } = await startRepository(t, { main: [], 'hadr-history': [] })
  await createClient(t, url).createFile(NEW_FILE)
  t.same(branches['hadr-history'], ['pool/7-a.json'])
  t.same(
    requests.map(({ method, path, body }) => [method, path, JSON.parse(body) as unknown]),
    [
      [
        'POST',
        '/api/v4/projects/101/repository/files/pool%2F7-a.json',
        { branch: 'hadr-history', content: '{}', commit_message: 'Switch' },
      ],
    ],
  )
})

for (const [language, words] of Object.entries({ English: GITLAB_WORDS, 'another language': TRANSLATED })) {
  t.test(`in ${language} a missing branch is started`, async t => {
    const { url, branches } = await startRepository(t, { main: [] }, words)
    await createClient(t, url).createFile(NEW_FILE)
    t.same(branches['hadr-history'], ['pool/7-a.json'])
  })

  t.test(`in ${language} a file that exists is a conflict and stays as it is`, async t => {
    const { url, branches } = await startRepository(t, { main: [], 'hadr-history': ['pool/7-a.json'] }, words)
    t.match(await errorOf(createClient(t, url).createFile(NEW_FILE)), { kind: 'conflict', ambiguous: false })
    t.same(branches['hadr-history'], ['pool/7-a.json'])
  })

  t.test(`in ${language} a branch that somebody else starts meanwhile is no conflict`, async t => {
    const { url, branches, hooks, requests } = await startRepository(t, { main: [] }, words)
    hooks.beforeWrite = () => {
      const isSecondWrite = requests.filter(({ method }) => method === 'POST').length === 2
      if (isSecondWrite) branches['hadr-history'] = ['pool/7-b.json']
    }
    await createClient(t, url).createFile(NEW_FILE)
    t.same(branches['hadr-history'], ['pool/7-b.json', 'pool/7-a.json'])
  })
}

t.test('a new file that is refused for another reason is refused', async t => {
  const { url, requests } = await startServer(t, ({ method, path }, response) => {
    if (method === 'POST') sendJson(response, { message: 'You are not allowed to push into this branch' }, 400)
    else if (path.includes('branches')) sendJson(response, { commit: { id: 'c1' } })
    else sendJson(response, { message: '404 File Not Found' }, 404)
  })
  const error = await errorOf(createClient(t, url).createFile(NEW_FILE))
  t.match(error, { kind: 'refused', message: /not allowed to push/ })
  t.equal(requests.filter(({ method }) => method === 'POST').length, 1)
})

t.test('a lost answer to a new file is ambiguous and never sent again', async t => {
  const { url, requests } = await startServer(t, (_request, response) => response.socket?.destroy())
  t.match(await errorOf(createClient(t, url).createFile(NEW_FILE)), { kind: 'unavailable', ambiguous: true })
  t.equal(requests.length, 1)
})

t.test('the default branch is named with its commit', async t => {
  const { url } = await startServer(t, ({ path }, response) => {
    if (path === '/api/v4/projects/101') sendJson(response, { id: 101, default_branch: 'release/1' })
    else if (path === '/api/v4/projects/101/repository/branches/release%2F1')
      sendJson(response, { commit: { id: 'c9' } })
    else sendJson(response, {}, 404)
  })
  t.same(await createClient(t, url).defaultBranch(101), { name: 'release/1', commitId: 'c9' })
})

t.test('a project without a default branch to see is not found, and says why', async t => {
  let project: object = { default_branch: null }
  const { url } = await startServer(t, ({ path }, response) => {
    if (path === '/api/v4/projects/101') sendJson(response, project)
    else sendJson(response, { message: '404 Branch Not Found' }, 404)
  })
  const client = createClient(t, url)
  for (project of [{ default_branch: null }, {}, { default_branch: 'main' }]) {
    t.match(await errorOf(client.defaultBranch(101)), { kind: 'not_found', message: /empty, or the role/ })
  }
})
