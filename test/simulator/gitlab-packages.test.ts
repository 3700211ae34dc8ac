import t from 'tap'
import { createPackagePublisher } from '../../decider/jobs/package.ts'
import { createGitLabClient } from '../../lib/gitlab/client.ts'
import { createSimulatedTransport } from '../../simulator/gitlab/transport.ts'
import { documentOf } from '../jobs/document.ts'
import { createFurnished, TOKENS } from '../support/gitlab.ts'

const PATH = '/projects/101/packages/generic/job-metrics/42/metrics.json'

t.test('generic packages are for Developers to write and for Reporters to read, and the newest file wins', async t => {
  const { ask, state } = createFurnished(t)
  const put = (token: string, body: string, path = PATH) =>
    ask('PUT', path, { token, body, headers: { 'content-type': 'application/octet-stream' } })
  t.match(await put(TOKENS.maintainer, 'one'), { status: 201, json: { message: '201 Created' } })
  t.equal((await put(TOKENS.maintainer, 'two')).status, 201)
  t.equal((await put(TOKENS.reporter, 'three')).status, 403)
  t.equal((await put(TOKENS.stranger, 'four')).status, 404)
  t.equal((await put(TOKENS.reader, 'five')).status, 403, 'the scope does not write')
  t.match(await put(TOKENS.maintainer, 'six', PATH.replace('42', '4 2')), { status: 400, json: { error: /version/ } })
  t.equal((await ask('GET', PATH, { token: TOKENS.reporter })).text, 'two')
  t.equal(state.packageFiles(101).length, 2)
})

t.test('the decider’s client stores a document there, and a forbidden duplicate is no failure', async t => {
  const { core, state, clock, faults } = createFurnished(t)
  const gitlab = createGitLabClient({
    url: 'http://gitlab.test',
    transport: createSimulatedTransport(core),
    token: () => Promise.resolve(TOKENS.maintainer),
    clock,
    random: Math.random,
  })
  const publish = createPackagePublisher({ gitlab, project: 101 })
  await publish(documentOf())
  t.match(state.packageFiles(101), [{ name: 'job-metrics', version: '42', file: 'metrics.json' }])
  t.strictSame(JSON.parse(state.packageFiles(101)[0]?.content ?? ''), documentOf())

  state.allowDuplicatePackages(false)
  await publish(documentOf())
  t.equal(state.packageFiles(101).length, 1)
  faults.add({ fault: { kind: 'status', status: 502 } })
  await t.rejects(publish(documentOf()), /GitLab PUT \/projects.*502/)
})

t.test('GitLab tells everybody by which keys it signs the tokens of jobs', async t => {
  const { core } = createFurnished(t)
  const get = async (path: string): Promise<unknown> =>
    JSON.parse((await core.handle({ method: 'GET', path, headers: {}, body: '' })).body)
  const keys: unknown = await get('/oauth/discovery/keys')
  t.match(keys, { keys: [{ kty: 'RSA', use: 'sig', alg: 'RS256', kid: String, n: String, e: 'AQAB' }] })
  t.notOk('d' in ((keys as { keys: object[] }).keys[0] ?? {}), 'the private part stays')
  const { issuer, jwks_uri: jwksUri } = (await get('/.well-known/openid-configuration')) as Record<string, string>
  t.equal(jwksUri, `${issuer ?? ''}/oauth/discovery/keys`)
})
