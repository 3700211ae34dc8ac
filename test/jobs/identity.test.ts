import { generateKeyPairSync } from 'node:crypto'
import t, { type Test } from 'tap'
import { createJobVerifier } from '../../decider/jobs/identity.ts'
import { createSigningKeys } from '../../lib/gitlab/signing-keys.ts'
import type { HttpTransport } from '../../lib/http/transport.ts'
import { createSimulatedTransport } from '../../simulator/gitlab/transport.ts'
import { createFurnished } from '../support/gitlab.ts'

const AUDIENCE = 'gitlab-runner-hadr'
const ISSUER = 'https://gitlab.example'

function createScene(t: Test) {
  const { clock, core, state, faults } = createFurnished(t)
  const job = state.addJob({ project: 101, tags: ['runner-a'] })
  const simulated = createSimulatedTransport(core)
  let asked = 0
  const transport: HttpTransport = request => {
    t.notOk('PRIVATE-TOKEN' in request.headers, 'no token of ours is shown')
    asked++
    return simulated(request)
  }
  const keys = createSigningKeys({ url: `${ISSUER}/api/v4`, transport, clock, userAgent: 'test' })
  const verify = createJobVerifier({ keys, issuer: ISSUER, audience: AUDIENCE, clock })
  const bearer = (
    ...changes: Parameters<typeof state.idToken> extends [number, string, ...infer Rest] ? Rest : never
  ) => `Bearer ${state.idToken(job.id, AUDIENCE, ...changes)}`
  return { clock, state, faults, job, verify, bearer, asked: () => asked }
}

t.test('a job’s own id_token tells which job it is, and GitLab is asked once', async t => {
  const { job, verify, bearer, asked } = createScene(t)
  t.strictSame(await verify(bearer()), { kind: 'job', jobId: job.id })
  t.strictSame(await verify(bearer()), { kind: 'job', jobId: job.id })
  t.equal(asked(), 1)
})

t.test('whatever is wrong with a token is refused and said, and the token is not repeated', async t => {
  const { state, job, verify, bearer } = createScene(t)
  const nowSeconds = Math.floor(state.nowMs() / 1000)
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const [header = '', payload = '', signature = ''] = bearer().replace('Bearer ', '').split('.')
  const unsigned = Buffer.from('{"alg":"none"}').toString('base64url')
  const forged = Buffer.from(JSON.stringify({ job_id: '1', aud: AUDIENCE, iss: ISSUER })).toString('base64url')
  const cases: Record<string, [string | undefined, RegExp]> = {
    nothing: [undefined, /no token/],
    'an empty variable': ['Bearer ', /is the variable empty/],
    'another scheme': ['Basic YTpi', /not Bearer/],
    'an unsigned token': [`Bearer ${unsigned}.${payload}.`, /no id_token that GitLab signs|not Bearer/],
    'another payload': [`Bearer ${header}.${forged}.${signature}`, /not signed by GitLab/],
    'another key': [bearer({ signWith: privateKey }), /not signed by GitLab/],
    'another algorithm': [bearer({ header: { alg: 'HS256' } }), /no id_token|not signed/],
    'another audience': [`Bearer ${state.idToken(job.id, 'vault')}`, /aud must be gitlab-runner-hadr/],
    'another GitLab': [bearer({ claims: { iss: 'https://elsewhere.example' } }), /iss must be/],
    'an old one': [bearer({ claims: { exp: nowSeconds - 60 } }), /expired/],
    'one for later': [bearer({ claims: { nbf: nowSeconds + 60 } }), /not valid yet/],
    'one without an end': [bearer({ claims: { exp: undefined } }), /exp/],
    'one of no job': [bearer({ claims: { job_id: undefined } }), /no job_id/],
    'one of a strange job': [bearer({ claims: { job_id: '1; drop' } }), /no job_id/],
  }
  for (const [name, [authorization, why]] of Object.entries(cases)) {
    const verdict = await verify(authorization)
    t.match(verdict, { kind: 'refused', why }, name)
    t.notMatch(JSON.stringify(verdict), signature, name)
  }
})

t.test('an audience among several and a clock that is a little off are accepted', async t => {
  const { state, verify, bearer } = createScene(t)
  const nowSeconds = Math.floor(state.nowMs() / 1000)
  t.match(await verify(bearer({ claims: { aud: ['vault', AUDIENCE] } })), { kind: 'job' })
  t.match(await verify(bearer({ claims: { nbf: nowSeconds + 5 } })), { kind: 'job' })
})

t.test('a new key of GitLab is learned at once, but made-up keys do not make us ask again and again', async t => {
  const { clock, state, verify, bearer, asked } = createScene(t)
  await verify(bearer())
  await clock.advance(60_000)
  state.rotateSigningKey()
  t.match(await verify(bearer()), { kind: 'job' })
  t.equal(asked(), 2)
  for (let index = 0; index < 20; index++) {
    t.match(await verify(bearer({ header: { kid: `made-up-${index}` } })), { kind: 'refused' })
  }
  t.equal(asked(), 2, 'not within half a minute')
  await clock.advance(31_000)
  await verify(bearer({ header: { kid: 'made-up' } }))
  t.equal(asked(), 3)
})

t.test('without GitLab known keys go on, and without keys nobody is let in', async t => {
  const { clock, faults, verify, bearer } = createScene(t)
  const down = { kind: 'status', status: 502 } as const
  faults.add({ fault: down })
  t.match(await verify(bearer()), { kind: 'unavailable' })
  t.match(await verify(bearer()), { kind: 'unavailable' })
  faults.clear()
  await clock.advance(31_000)
  t.match(await verify(bearer()), { kind: 'job' })
  faults.add({ fault: down })
  await clock.advance(3_599_000)
  const verdict = await verify(bearer())
  t.match(verdict, { kind: 'job' })
  await clock.advance(60_000)
  t.match(await verify(bearer()), { kind: 'job' }, 'keys are kept while GitLab is away')
})
