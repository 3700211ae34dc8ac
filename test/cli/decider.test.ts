import { execFile } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'

const MAIN = 'cli/decider-main.ts'
const GOOD = `
cluster: a
gitlab: {url: http://127.0.0.1:9, group: 33, project: 101}
prometheus: {url: http://127.0.0.1:9}
pools: [{mainTag: rnd-runner, clusters: [{name: a, tag: runner-a}, {name: b, tag: runner-b}]}]
`

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return new Promise(resolve => {
    const child = execFile(
      process.execPath,
      ['--import=tsx', MAIN, ...args],
      { env: { PATH: process.env['PATH'] ?? '', ...env }, timeout: 30_000 },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}

t.test('a bad configuration ends with exit code 78 and names every mistake with its line', async t => {
  const folder = t.testdir({ 'decider.yaml': 'cluster: a\ngitlab: {url: nowhere}\nprometheus: {}\npools: []\n' })
  const { code, stderr, stdout } = await run(['--config', join(folder, 'decider.yaml')])
  t.equal(code, 78)
  t.equal(stdout, '')
  t.match(stderr, /decider\.yaml:2: gitlab\.url must be a URL/)
  t.match(stderr, /gitlab\.project is required/)
  t.match(stderr, /prometheus\.url is required/)
  t.match(stderr, /pools must have at least one entry/)
})

t.test('a file that cannot be read, and a missing token, end with 78 and the mend', async t => {
  const folder = t.testdir({ 'decider.yaml': GOOD })
  const missing = await run(['--config', join(folder, 'nothing.yaml')])
  t.match(missing, { code: 78, stderr: /nothing\.yaml: cannot be read/ })
  const tokenless = await run(['--config', join(folder, 'decider.yaml')])
  t.match(tokenless, { code: 78, stderr: /gitlab\.tokenFile is required \(or HADR_GITLAB_TOKEN\)/ })
})

t.test('a bad command line ends with 2, help with 0 and names every environment variable', async t => {
  t.match(await run([]), { code: 2, stderr: /--config/ })
  t.match(await run(['--config', 'x', '--loud']), { code: 2, stderr: /unknown option/ })
  const help = await run(['--help'])
  t.equal(help.code, 0)
  for (const name of ['HADR_CONFIG', 'HADR_DRY_RUN', 'HADR_NO_LEASE', 'HADR_LISTEN', 'HADR_LOG_LEVEL'])
    t.match(help.stdout, name)
})

t.test('with GitLab out of reach it stays up, says so, and leaves on SIGTERM with 0', async t => {
  const folder = t.testdir({ 'decider.yaml': GOOD })
  const args = ['--config', join(folder, 'decider.yaml'), '--no-lease', '--listen', '127.0.0.1:0']
  const token = 'glpat-never-to-be-seen'
  const ended = await new Promise<Ended>(resolve => {
    const child = execFile(
      process.execPath,
      ['--import=tsx', MAIN, ...args],
      { env: { PATH: process.env['PATH'] ?? '', HADR_GITLAB_TOKEN: token }, timeout: 30_000 },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    )
    child.stdout?.on('data', (chunk: string) => {
      if (chunk.includes('"HOLD"')) child.kill('SIGTERM')
    })
  })
  t.equal(ended.code, 0)
  t.match(ended.stdout, /GitLab cannot be read .*nothing moves/)
  t.notMatch(ended.stdout + ended.stderr, token)
})

t.test('outside a cluster it asks for a decision on the lease, and what needs Kubernetes is refused', async t => {
  const workloads = 'runners: {selector: app=ci-gitlab-runner}\n'
  const jobsToo = 'jobs: {namespaces: [ci], folder: jobs}\n'
  const folder = t.testdir({ 'decider.yaml': GOOD, 'runners.yaml': GOOD + workloads, 'jobs.yaml': GOOD + jobsToo })
  const env = { HADR_GITLAB_TOKEN: 'glpat-x' }
  const leaseless = await run(['--config', join(folder, 'decider.yaml')], env)
  t.match(leaseless, { code: 78, stderr: /no Kubernetes here.*--kubeconfig.*--no-lease/s })
  const runners = await run(['--config', join(folder, 'runners.yaml'), '--no-lease'], env)
  t.match(runners, { code: 78, stderr: /runners needs Kubernetes/ })
  const jobs = await run(['--config', join(folder, 'jobs.yaml'), '--no-lease'], env)
  t.match(jobs, { code: 78, stderr: /jobs needs Kubernetes/ })
  const config = ['--config', join(folder, 'decider.yaml')]
  const none = join(folder, 'none')
  const named = [
    run(config, { ...env, HADR_KUBECONFIG: none }),
    run([...config, '--kubeconfig', none], { ...env, KUBECONFIG: '/dev/null' }),
  ]
  for (const broken of await Promise.all(named)) t.match(broken, { code: 78, stderr: /Kubernetes: .*none/ })
})
