import t, { type Test } from 'tap'
import { createGitLabFleet } from '../../lib/gitlab/fleet.ts'
import { createNodeTransport } from '../../lib/http/node-transport.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { startFurnished, TOKENS } from '../support/gitlab.ts'
import { errorOf, sendJson, startServer } from './gitlab-server.ts'

function createClient(t: Test, url: string, token: string = TOKENS.owner) {
  const transport = createNodeTransport()
  t.teardown(() => transport.close())
  return createGitLabFleet({ url, transport, token: () => Promise.resolve(token), clock: systemClock, random: () => 0 })
}

t.test('pending jobs of all pages are read, each once and with its tags, and no others', async t => {
  const { state, url } = await startFurnished(t)
  for (let job = 0; job < 130; job++) state.addJob({ project: 101, tags: ['rnd-runner', `t${job % 2}`], durationMs: 1 })
  const { jobs, whole } = await createClient(t, url).pendingJobs(101)
  t.equal(whole, true)
  t.equal(jobs.length, 130)
  t.equal(new Set(jobs.map(({ id }) => id)).size, 130)
  t.same(jobs[0]?.tags, ['rnd-runner', 't1'])
  t.equal((await errorOf(createClient(t, url, TOKENS.stranger).pendingJobs(101))).kind, 'not_found')
})

t.test('a list that does not end is at least what was read', async t => {
  const { url, requests } = await startServer(t, ({ path }, response) => {
    const page = Number(new URL(path, 'http://x').searchParams.get('page'))
    const jobs = Array.from({ length: 100 }, (_, index) => ({ id: page * 100 + index, tag_list: ['a'] }))
    sendJson(response, jobs, 200, { 'x-next-page': String(page + 1) })
  })
  const { jobs, whole } = await createClient(t, url).pendingJobs(7)
  t.equal(whole, false)
  t.equal(jobs.length, 1000)
  t.match(decodeURIComponent(requests[0]?.path ?? ''), '/api/v4/projects/7/jobs?scope[]=pending&per_page=100&page=1')
})

t.test('managers tell whether they have jobs, where GitLab is new enough', async t => {
  const manager = { system_id: 's_a', status: 'online', contacted_at: '2026-01-02T03:04:05Z' }
  const { url } = await startServer(t, (_request, response) =>
    sendJson(response, [
      { ...manager, job_execution_status: 'active' },
      { ...manager, job_execution_status: 'idle' },
      manager,
    ]),
  )
  t.same(
    (await createClient(t, url).managers(1)).map(({ busy }) => busy),
    [true, false, undefined],
  )
})

t.test('projects of a group are those of its subgroups, too', async t => {
  const { state, url } = await startFurnished(t)
  state.addGroup({ id: 40, fullPath: 'acme/ci/deep', parent: 33 })
  state.addProject({ id: 7, fullPath: 'acme/ci/deep/one', group: 40 })
  t.same(await createClient(t, url).groupProjects(33), [7, 101])
})
