import t, { type Test } from 'tap'
import { search, type DiscoveryDeps, type SearchState } from '../../sidecar/discovery.ts'
import { better, chosen, likeness, type Best } from '../../sidecar/match.ts'
import { GitLabError } from '../../lib/gitlab/types.ts'
import { createSimulatedTransport } from '../../simulator/gitlab/transport.ts'
import { createClient, errorOf } from '../lib/gitlab-server.ts'
import { createFurnished, TOKENS } from '../support/gitlab.ts'

const names = new Set(['pod-1', 'pod-1-long'])
const wanted = { shortToken: 'abcdefghi', systemId: 'r_1' }
const nameless = { shortToken: '', systemId: '' }

t.test('marks of a candidate', t => {
  const cases = [
    ['token and process agree', { shortSha: 'abcdefgh', hasManager: true, description: 'x' }, wanted, 'certain'],
    ['token and name agree', { shortSha: 'abcdefgh', hasManager: false, description: 'pod-1' }, wanted, 'certain'],
    ['the token alone agrees', { shortSha: 'abcdefgh', hasManager: false, description: null }, wanted, 'token'],
    [
      'another token refutes name and process',
      { shortSha: 'zbcdefgh', hasManager: true, description: 'pod-1' },
      wanted,
      undefined,
    ],
    ['without a token to compare the process counts', { hasManager: true, description: 'x' }, wanted, 'process'],
    ['process and name are certain', { hasManager: true, description: 'pod-1-long' }, wanted, 'certain'],
    ['a name alone', { description: 'pod-1' }, wanted, 'name'],
    ['a name alone, and nothing else to compare', { shortSha: 'abcdefgh', description: 'pod-1' }, nameless, 'name'],
    ['a name that only contains the wanted one', { description: 'my-pod-1' }, nameless, undefined],
    ['no description is no name', { description: null }, nameless, undefined],
    ['an empty short token of GitLab compares nothing', { shortSha: '', description: 'x' }, wanted, undefined],
  ] as const
  for (const [name, candidate, entry, is] of cases) t.equal(likeness({ id: 1, ...candidate }, entry, names), is, name)
  t.end()
})

t.test('the likeliest wins, the newest among names, and nobody among equal tokens', t => {
  const after = (...seen: [id: number, like: Best['likeness']][]) =>
    chosen(seen.reduce<Best | undefined>((best, [id, like]) => better(best, id, like), undefined))
  t.equal(after(), undefined)
  t.equal(after([9, 'name'], [3, 'token'], [7, 'name']), 3)
  t.equal(after([5, 'name'], [8, 'name'], [7, 'name'], [1, 'name']), 8)
  t.equal(after([5, 'token'], [8, 'token']), undefined)
  t.equal(after([5, 'process'], [5, 'process']), 5)
  t.equal(after([5, 'token'], [8, 'token'], [6, 'certain']), 6)
  t.end()
})

function arrange(t: Test, token: string = TOKENS.reader) {
  const { core, state, faults } = createFurnished(t)
  const transport = createSimulatedTransport(core)
  const client = createClient(t, 'http://gitlab.example', { transport, token: () => Promise.resolve(token) })
  const deps: DiscoveryDeps = { client, access: { open: true }, group: '33', names: ['pod-1'], perPage: 10 }
  const routes = () => state.requests.map(({ route }) => route)
  return { deps, state, faults, routes }
}

t.test('a search through many pages is done in bounded parts and ends where it must', async t => {
  const { deps, state, routes } = arrange(t)
  for (let n = 0; n < 200; n += 1) state.addRunner({ group: 33, description: `other ${n}`, tags: ['x'] })
  const { id } = state.addRunner({ group: 33, token: 'glrt-t2_abcdefghijkl', tags: ['x'] })
  let from: SearchState | undefined
  let parts = 0
  for (;;) {
    const before = routes().length
    const result = await search(deps, [wanted], from)
    parts += 1
    t.ok(routes().length - before <= 9, 'eight requests, and the path of the group once')
    from = result.unfinished
    if (from === undefined) {
      t.same([...result.found], [['abcdefghi', id]])
      break
    }
    t.equal(result.found.size, 0)
  }
  t.equal(parts, 3, 'one search by name and 21 pages')
})

t.test('a match with two marks ends the search at once', async t => {
  const { deps, state, routes } = arrange(t)
  for (let n = 0; n < 50; n += 1) state.addRunner({ group: 33, description: `other ${n}`, tags: ['x'] })
  const { id } = state.addRunner({ group: 33, token: 't2_abcdefghijkl', description: 'pod-1', tags: ['x'] })
  const { found, unfinished } = await search(deps, [wanted], undefined)
  t.same([...found], [['abcdefghi', id]])
  t.equal(unfinished, undefined)
  t.equal(routes().filter(route => route === '/graphql').length, 1)
})

t.test('with nothing but a name the search by name is enough', async t => {
  const { deps, state, routes } = arrange(t)
  const { id } = state.addRunner({ group: 33, description: 'pod-1', tags: ['x'] })
  state.addRunner({ group: 33, description: 'pod-10', tags: ['x'] })
  const { found } = await search(deps, [nameless], undefined)
  t.same([...found], [['', id]])
  t.equal(routes().filter(route => route === '/graphql').length, 1)
})

t.test('a token without GraphQL searches the lists by description, with all their pages', async t => {
  const { deps, state, faults } = arrange(t)
  faults.add({ route: '/graphql', fault: { kind: 'status', status: 403, body: '{}' } })
  for (let n = 0; n < 15; n += 1) state.addRunner({ group: 33, description: `other ${n}`, tags: ['x'] })
  const first = state.addRunner({ group: 33, description: 'pod-1', tags: ['x'] })
  for (let n = 0; n < 15; n += 1) state.addRunner({ group: 33, description: `another ${n}`, tags: ['x'] })
  t.same([...(await search(deps, [wanted], undefined)).found], [['abcdefghi', first.id]])
  t.equal(deps.access.open, false, 'others need not try')
  const second = state.addRunner({ group: 33, description: 'pod-1', tags: ['x'] })
  t.same([...(await search(deps, [wanted], undefined)).found], [['abcdefghi', second.id]])
})

t.test('runners of the groups above are found by description over REST', async t => {
  const { deps, state } = arrange(t, TOKENS.admin)
  const { id } = state.addRunner({ group: 30, description: 'pod-1', tags: ['x'] })
  t.same([...(await search(deps, [wanted], undefined)).found], [['abcdefghi', id]])
})

t.test('what is nowhere is not found, and the search says that it is over', async t => {
  const { deps } = arrange(t)
  t.same(await search(deps, [wanted], undefined), { found: new Map(), unfinished: undefined })
})

t.test('an outage ends the part and closes nothing', async t => {
  const { deps, faults } = arrange(t)
  faults.outage({ kind: 'status', status: 503 })
  const error = await errorOf(search(deps, [wanted], undefined))
  t.type(error, GitLabError)
  t.equal(error.kind, 'unavailable')
  t.equal(deps.access.open, true)
})

t.test('a token that may list nothing is told so', async t => {
  const { deps } = arrange(t, TOKENS.manager)
  t.equal((await errorOf(search(deps, [wanted], undefined))).kind, 'forbidden')
})
