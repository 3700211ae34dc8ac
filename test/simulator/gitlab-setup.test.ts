import t from 'tap'
import { createFurnished, TOKENS } from '../support/gitlab.ts'

const EXPIRES = { expires_at: '2030-01-01' }

t.test('an Owner makes a project, protects its branches and gives out tokens that work', async t => {
  const { ask, state } = createFurnished(t)
  const token = TOKENS.owner
  const project = await ask('POST', '/projects', { token, body: { path: 'status', namespace_id: 33 } })
  t.match(project, { status: 201, json: { path_with_namespace: 'acme/ci/status', visibility: 'private' } })
  const { id } = project.json as { id: number }
  const rule = { name: 'hadr/*', push_access_level: 40, allow_force_push: true }
  t.match(await ask('POST', `/projects/${id}/protected_branches`, { token, body: rule }), {
    status: 201,
    json: { name: 'hadr/*', allow_force_push: true },
  })
  t.match(await ask('POST', `/projects/${id}/protected_branches`, { token, body: rule }), { status: 409 })

  const body = { name: 'decider', scopes: ['read_api', 'manage_runner'], access_level: 50, ...EXPIRES }
  const made = await ask('POST', '/groups/33/access_tokens', { token, body })
  t.match(made, { status: 201, json: { access_level: 50, expires_at: '2030-01-01', token: /^glpat-\w{20}$/ } })
  const { token: secret } = made.json as { token: string }
  t.match(await ask('PUT', '/runners/1', { token: secret, body: { tag_list: ['runner-a'] } }), { status: 200 })
  t.same(state.runner(1).tags, ['runner-a'])
  t.match(await ask('POST', '/projects', { token: secret, body: { path: 'x', namespace_id: 33 } }), { status: 403 })
})

t.test('nobody gives more than they have', async t => {
  const { ask } = createFurnished(t)
  const token = TOKENS.maintainer
  const wanted = { name: 'x', scopes: ['api'], ...EXPIRES }
  t.match(await ask('POST', '/groups/33/access_tokens', { token, body: wanted }), { status: 403 })
  const owner = { ...wanted, access_level: 50 }
  t.match(await ask('POST', '/projects/101/access_tokens', { token, body: owner }), { status: 400 })
  t.match(await ask('POST', '/projects/101/access_tokens', { token, body: { ...wanted, scopes: ['all'] } }), {
    status: 400,
  })
  t.match(await ask('POST', '/projects/101/access_tokens', { token: TOKENS.reporter, body: wanted }), { status: 403 })
  t.match(await ask('POST', '/projects', { token: TOKENS.reporter, body: { path: 'x', namespace_id: 33 } }), {
    status: 403,
  })
  t.match(await ask('POST', '/projects', { token, body: { path: 'hadr', namespace_id: 33 } }), { status: 400 })
})
