import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { freePorts } from '../../cli/demo/process.ts'
import { startGitLab } from '../../simulator/gitlab/server.ts'
import { startApi } from '../support/kubernetes.ts'

interface Replica {
  child: ChildProcess
  status(): Promise<{ role?: string; leader?: string | null; pools?: unknown[] }>
  ask(path: string): Promise<Response>
  exited: Promise<unknown[]>
}

function startReplica(t: Test, pod: string, config: string, kubeconfig: string, port: number): Replica {
  const args = ['--import=tsx', 'cli/decider-main.ts', '--config', config, '--listen', `127.0.0.1:${port}`]
  const env = {
    PATH: process.env['PATH'] ?? '',
    HADR_GITLAB_TOKEN: 'glpat-a',
    KUBECONFIG: kubeconfig,
    POD_NAME: pod,
  }
  const child = spawn(process.execPath, args, { env, stdio: 'ignore' })
  const exited = once(child, 'exit')
  t.teardown(() => child.kill('SIGKILL'))
  const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5000) })
  return {
    child,
    exited,
    ask,
    status: async () => {
      try {
        return (await (await ask('/status')).json()) as Awaited<ReturnType<Replica['status']>>
      } catch {
        return {}
      }
    },
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 90_000
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`not seen: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

t.test(
  'of two processes one leads; it leaves on SIGTERM with 0 and the other leads at once',
  { timeout: 240_000 },
  async t => {
    const api = await startApi(t)
    const gitlab = await startGitLab()
    t.teardown(() => gitlab.close())
    gitlab.state.addGroup({ id: 33, fullPath: 'ci' })
    gitlab.state.addProject({ id: 101, fullPath: 'ci/hadr', group: 33 })
    gitlab.state.addToken({ token: 'glpat-a', name: 'a', scopes: ['api'], groups: { 33: 'owner' } })
    gitlab.state.protect({ project: 101, branch: 'hadr/a', pushTokens: ['glpat-a'], allowForce: true })
    const folder = t.testdir({
      kubeconfig: api.kubeconfig('test-token'),
      'decider.yaml': `
cluster: a
gitlab: {url: "${gitlab.url}", group: 33, project: 101}
prometheus: {url: "http://127.0.0.1:9"}
pools: [{mainTag: rnd-runner, clusters: [{name: a, tag: runner-a}, {name: b, tag: runner-b}]}]
`,
    })
    const [one = 0, two = 0] = await freePorts(2)
    const start = (pod: string, port: number) =>
      startReplica(t, pod, join(folder, 'decider.yaml'), join(folder, 'kubeconfig'), port)
    const first = start('pod-1', one)
    await until('the first leads', async () => (await first.status()).role === 'leader')
    const second = start('pod-2', two)
    await until('the second stands by', async () => (await second.status()).leader?.startsWith('pod-1_') === true)
    t.match(await second.status(), { role: 'standby', pools: [] })
    t.equal((await second.ask('/readyz')).status, 200)
    await until('the first is ready', async () => (await first.ask('/readyz')).status === 200)
    t.match(await (await first.ask('/metrics')).text(), /^gitlab_runner_hadr_decider_leader 1$/m)
    t.match(await (await first.ask('/status/decisions')).json(), { 'rnd-runner': Array })
    t.equal((await first.ask('/status/decisions?pool=rnd-runner')).status, 200)
    t.equal((await first.ask('/status/decisions?pool=nope')).status, 404)

    first.child.kill('SIGTERM')
    t.same((await first.exited)[0], 0)
    const left = JSON.parse(gitlab.state.readFile(101, 'hadr/a', 'status.json') ?? '{}') as { leaving?: boolean }
    t.equal(left.leaving, true)
    await until('the second leads', async () => (await second.status()).role === 'leader')
    t.match(api.state.get('leases', 'default', 'gitlab-runner-hadr-decider-a'), { spec: { leaseTransitions: 1 } })
    second.child.kill('SIGTERM')
    t.same((await second.exited)[0], 0)
  },
)
