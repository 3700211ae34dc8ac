import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { scaledTiming } from '../../cli/demo/stage.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { startGitLab } from '../../simulator/gitlab/server.ts'
import { blocksOf, type Block } from '../support/documentation.ts'
import { kubectlProgram, lacksKubectl } from '../support/kubectl.ts'
import { startLiveCluster, type LiveCluster } from '../support/live/cluster.ts'
import { prometheusVersion } from '../../simulator/prometheus/process.ts'
import { buildPrograms, lacksTools } from '../support/programs.ts'
import { startShell } from '../support/shell.ts'

const PAGE = 'docs/quick-start.md'
const ROOT = new URL('../..', import.meta.url).pathname
const TIME_SCALE = 0.1
const GROUP = 33

/** Blocks that the page marks `not-here`, by a word of theirs, and why no machine of the tests can run them. */
const NOT_HERE: Readonly<Record<string, string>> = {
  'docker build': 'needs a container engine and a registry; the test puts the bundled programs on the PATH instead',
  'port-forward -n monitoring': 'the simulated API server forwards no ports; Prometheus is on this machine anyway',
  'port-forward -n gitlab-runner-hadr': 'the same; a browser opens the page in test/page',
}

const skip = lacksKubectl() || (await lacksTools('curl', 'jq'))

t.test(
  'whoever follows the quick start sees the main tag move when a cluster goes away',
  { skip, timeout: 600_000 },
  async t => {
    const blocks = blocksOf(PAGE)
    const scene = await setScene(t)
    const shell = startShell(t, scene.folder, scene.env)
    const commands = blocks.filter(({ info: [language] }) => language === 'sh')
    const skipped = commands.filter(({ info }) => info.includes('not-here'))
    for (const block of skipped) {
      const reason = Object.entries(NOT_HERE).find(([word]) => block.text.includes(word))?.[1]
      if (reason === undefined) t.fail(`${block.where} is marked not-here, and nobody says why`)
      else t.pass(`${block.where} was not run`, { skip: reason })
    }
    t.equal(skipped.length, Object.keys(NOT_HERE).length)

    for (const [index, block] of blocks.entries()) {
      if (!commands.includes(block) || skipped.includes(block)) continue
      const printed = await shell.run(block.where, scene.filledIn(block)).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${scene.troubles().join('\n')}`)
      })
      const expected = blocks[index + 1]
      if (expected?.info[0] !== 'text') continue
      for (const line of expected.text.trim().split('\n')) {
        t.ok(
          printed.split('\n').some(each => each.includes(line)),
          `${block.where} prints ${line}`,
        )
      }
    }
    t.same(scene.holders(), ['a', 'a and b', 'b', 'a and b', 'a'], 'the tag was never with nobody')
  },
)

/** What the reader has: a GitLab, two clusters with runners and Prometheus, and a machine with the tools. */
async function setScene(t: Test) {
  const root = await mkdtemp(join(tmpdir(), 'hadr-quick-start-'))
  t.teardown(() => rm(root, { recursive: true, maxRetries: 5 }))
  const folder = join(root, 'repository')
  const [programs, home, bin] = ['dist', 'home', 'bin'].map(name => join(root, name)) as [string, string, string]
  await mkdir(join(home, '.config/hadr'), { recursive: true })
  await mkdir(bin)
  await cp(join(ROOT, 'manifests'), join(folder, 'manifests'), { recursive: true })
  await buildPrograms(programs)
  await symlink(kubectlProgram(), join(bin, 'kubectl'))
  await writeFile(join(bin, 'hadr'), `#!/bin/sh\nexec "${process.execPath}" "${programs}/hadr.cjs" "$@"\n`, {
    mode: 0o755,
  })

  const gitlab = await startGitLab({ timing: scaledTiming(TIME_SCALE) })
  t.teardown(() => gitlab.close())
  const { state } = gitlab
  state.addGroup({ id: GROUP, fullPath: 'ci' })
  state.addToken({ token: 'glpat-platform-engineer', name: 'pe', scopes: ['api'], groups: { [GROUP]: 'owner' } })
  await writeFile(join(home, '.config/hadr/token'), 'glpat-platform-engineer\n', { mode: 0o600 })

  const realPrometheus = (await prometheusVersion()) !== undefined
  if (!realPrometheus) t.pass('no real Prometheus', { skip: 'the program `prometheus` is not on PATH' })
  const clusters = new Map<string, { cluster: LiveCluster; runnerId: number }>()
  for (const name of ['a', 'b']) {
    const runner = state.addRunner({ description: `cluster ${name}`, tags: [`cluster-${name}`], group: GROUP })
    const home = join(root, `cluster-${name}`)
    await mkdir(home)
    const cluster = await startLiveCluster(t, {
      programs,
      folder: home,
      runnerToken: runner.token,
      gitlabUrl: gitlab.url,
      prometheusUrl: 'http://prometheus.monitoring:9090',
      realPrometheus,
      timeScale: TIME_SCALE,
      clock: systemClock,
    })
    clusters.set(name, { cluster, runnerId: runner.id })
  }
  const kubeconfig = join(home, 'kubeconfig')
  await writeFile(kubeconfig, kubeconfigOf(clusters))
  const a = clusters.get('a')
  const values: Readonly<Record<string, string>> = {
    HADR_GITLAB_URL: gitlab.url,
    GROUP: String(GROUP),
    RUNNER_A: String(a?.runnerId),
    RUNNER_B: String(clusters.get('b')?.runnerId),
    PROMETHEUS_HERE: a?.cluster.prometheusUrl ?? '',
    EXPIRES: new Date(systemClock.wallMs() + 300 * 24 * 3_600_000).toISOString().slice(0, 10),
  }
  return {
    folder,
    env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: home, KUBECONFIG: kubeconfig },
    /** The block as a reader types it: what the page exports at its top has the values of this GitLab and these clusters. */
    filledIn: ({ text }: Block) =>
      text.startsWith('export HADR_GITLAB_URL=')
        ? text.replace(/([A-Z_]+)=(\S+)/g, (whole, name: string) =>
            name in values ? `${name}=${values[name] ?? ''}` : whole,
          )
        : text,
    /** By GitLab's own record: who carried the main tag, one after the other. */
    holders: () => {
      const now = new Set<string>()
      const names = new Map([...clusters].map(([name, { runnerId }]) => [runnerId, name]))
      return state.tagHistory
        .map(({ runnerId, after }) => {
          const name = names.get(runnerId) ?? 'nobody known'
          if (after.includes('rnd-runner')) now.add(name)
          else now.delete(name)
          return [...now].sort().join(' and ')
        })
        .filter((holders, index, all) => holders !== all[index - 1] && (index > 0 || holders !== ''))
    },
    troubles: () =>
      [...clusters].flatMap(([name, { cluster }]) =>
        [...new Set(cluster.troubles)].map(each => `cluster ${name}: ${each}`),
      ),
  }
}

/** The contexts `a` and `b`, each an administrator. */
function kubeconfigOf(clusters: ReadonlyMap<string, { cluster: LiveCluster }>): string {
  const each = <Value>(make: (name: string, cluster: LiveCluster) => Value) =>
    [...clusters].map(([name, { cluster }]) => ({ name, ...make(name, cluster) }))
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: each((_, { api }) => ({
      cluster: { server: api.url, 'certificate-authority-data': Buffer.from(api.caPem).toString('base64') },
    })),
    users: each(() => ({ user: { token: 'test-token' } })),
    contexts: each(name => ({ context: { cluster: name, user: name } })),
    'current-context': 'a',
  })
}
