import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { freePorts } from '../../cli/demo/process.ts'
import { startGitLab } from '../../simulator/gitlab/server.ts'
import { startApi } from '../support/kubernetes.ts'
import { until } from '../support/until.ts'

const AUTOSCALER = {
  metadata: { name: 'theirs', namespace: 'ci' },
  spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'managers' } },
}

/** A decider with a fleet that patches, as its own process beside a simulated GitLab and Kubernetes; Prometheus is dead. */
async function createScene(t: Test) {
  const api = await startApi(t)
  api.state.addNamespace('ci')
  const labels = { app: 'managers' }
  api.state.put('deployments', {
    metadata: { name: 'managers', namespace: 'ci', labels },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels } } },
  })
  const gitlab = await startGitLab()
  t.teardown(() => gitlab.close())
  gitlab.state.addGroup({ id: 33, fullPath: 'ci' })
  gitlab.state.addProject({ id: 101, fullPath: 'ci/hadr', group: 33 })
  gitlab.state.addToken({ token: 'glpat-a', name: 'a', scopes: ['api'], groups: { 33: 'owner' } })
  gitlab.state.protect({ project: 101, branch: 'hadr/a', pushTokens: ['glpat-a'], allowForce: true })
  const [port = 0, hookPort = 0] = await freePorts(2)
  const folder = t.testdir({
    kubeconfig: api.kubeconfig('test-token'),
    hook: 'hook-secret\n',
    'decider.yaml': `
cluster: a
gitlab: {url: "${gitlab.url}", group: 33, project: 101}
prometheus: {url: "http://127.0.0.1:9"}
runners: {namespace: ci, selector: app=managers}
jobHooks: {listen: "127.0.0.1:${hookPort}", tokenFile: HOOK}
timeScale: 0.1
pools:
  - mainTag: rnd-runner
    clusters: [{name: a, tag: runner-a}, {name: b, tag: runner-b}]
    fleet: {scale: patch, deployment: managers, max: 4}
`,
  })
  const config = join(folder, 'decider.yaml')
  writeFileSync(config, readFileSync(config, 'utf8').replace('HOOK', join(folder, 'hook')))
  const start = () => {
    const args = [
      '--import=tsx',
      'cli/decider-main.ts',
      '--config',
      config,
      '--no-lease',
      '--listen',
      `127.0.0.1:${port}`,
    ]
    const env = {
      PATH: process.env['PATH'] ?? '',
      HADR_GITLAB_TOKEN: 'glpat-a',
      KUBECONFIG: join(folder, 'kubeconfig'),
    }
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
    t.teardown(() => child.kill('SIGKILL'))
    return { child, said: text(child.stderr), exited: once(child, 'exit') as Promise<[number | null]> }
  }
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
  return { api, start, ask, hookUrl: `http://127.0.0.1:${hookPort}/hooks/jobs` }
}

t.test('a decider that would scale what an HPA scales does not start, and says why', { timeout: 120_000 }, async t => {
  const { api, start } = await createScene(t)
  api.state.put('horizontalPodAutoscalers', AUTOSCALER)
  const { said, exited } = start()
  t.same((await exited)[0], 78)
  t.match(await said, /HorizontalPodAutoscaler theirs scales Deployment ci\/managers, too.*set fleet\.scale to export/)
})

t.test(
  'a fleet that can do nothing is told, and neither delays nor fails the decider',
  { timeout: 120_000 },
  async t => {
    const { api, start, ask, hookUrl } = await createScene(t)
    api.faults.add({ fault: { kind: 'hang' }, resource: 'deployments/scale' })
    const { child, exited } = start()
    interface Status {
      pools: { at: string; problems: { text: string }[]; fleet?: { problems: string[]; scale: string } }[]
    }
    const status = async () => {
      try {
        return (JSON.parse(await ask('/status')) as Status).pools[0]
      } catch {
        return undefined
      }
    }
    await until(
      'the fleet to tell its problems',
      60_000,
      async () => ((await status())?.fleet?.problems.length ?? 0) > 0,
    )
    const { at, problems, fleet } = (await status()) ?? { at: '', problems: [] }
    t.equal(fleet?.scale, 'patch')
    t.ok(problems.some(({ text }) => text.startsWith('The demand of the fleet is not known whole: Prometheus')))
    await until('another cycle of the decider', 30_000, async () => (await status())?.at !== at)
    t.match(
      await ask('/metrics'),
      /^gitlab_runner_hadr_decider_fleet_problems\{pool="rnd-runner",cluster="a"\} [1-9]$/m,
    )
    t.match(await ask('/livez'), 'ok')
    const body = JSON.stringify({ object_kind: 'build', build_status: 'pending', tags: ['rnd-runner'] })
    const post = (token: string) => fetch(hookUrl, { method: 'POST', body, headers: { 'x-gitlab-token': token } })
    t.equal((await post('hook-secret')).status, 204)
    t.equal((await post('another')).status, 401)
    t.match(await ask('/metrics'), /^gitlab_runner_hadr_decider_fleet_hints_total\{result="taken"\} 1$/m)
    child.kill('SIGTERM')
    t.same((await exited)[0], 0)
  },
)
