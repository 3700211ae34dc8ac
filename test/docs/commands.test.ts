import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { freePorts } from '../../cli/demo/process.ts'
import { blocksOf, isShell } from '../support/documentation.ts'
import { kubectlProgram, lacksKubectl } from '../support/kubectl.ts'
import { startApi } from '../support/kubernetes.ts'
import { buildPrograms, lacksTools } from '../support/programs.ts'
import { startShell } from '../support/shell.ts'

const PAGES = ['README.md', ...readdirSync('docs').flatMap(name => (name.endsWith('.md') ? [`docs/${name}`] : []))]

/** Commands by how they begin, and the test that runs them. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'npm ci && npm run demo': 'test/integration/demo.test.ts',
  'npm run demo -- --fleet': 'test/integration/fleet.test.ts',
  'wget -q -T 30 --header': 'test/integration/job-metrics.test.ts',
  'hadr ': 'test/cli/operations.test.ts',
  'export HADR_': 'test/cli/operations.test.ts',
  'npx hadr inject': 'test/webhook/documentation.test.ts',
  'kubectl kustomize': 'test/webhook/documentation.test.ts',
  'curl -s http://DECIDER:8080/status': 'test/integration/failover.test.ts',
  'curl -s http://127.0.0.1:8080/status': 'test/integration/failover.test.ts',
}
/** Those that cannot run here, and why. */
const NOT_HERE: Readonly<Record<string, string>> = {
  'npm ci && npm test': 'it is what runs this test',
  'npm run bench': 'it takes half an hour, and its figures are worth nothing beside other tests',
  'npm run soak': 'it takes half an hour',
  'kubectl -n gitlab-runner-hadr port-forward': 'the simulated API server forwards no ports',
  'kubectl apply --server-side':
    'the simulated API server knows no server-side apply; the quick start applies the same folder',
}
/** Those that run here, in their order on the page, and what they print. */
const HERE: Readonly<Record<string, RegExp>> = {
  'npx hadr sidecar --listen': /"msg":"listening"/,
  'npx hadr sidecar -u': /"program":"sidecar"/,
  'curl -i http://127.0.0.1:8080/healthz': /^HTTP\/1.1 (200 OK|503)/m,
  'kubectl label namespace NAMESPACE': /^namespace\/ci labeled$/,
  'kubectl -n NAMESPACE rollout restart': /^deployment.apps\/runner restarted$/,
  'kubectl -n gitlab-runner-hadr get secret gitlab-runner-hadr-ca': /^gitlab-runner-hadr-ca/m,
  'kubectl -n gitlab-runner-hadr get pods': /No resources found/,
  'kubectl get pods -A': /^ci\/missed$/,
}
/** They serve until they are told to stop. */
const SERVING = ['npx hadr sidecar']

const found = PAGES.filter(page => page !== 'docs/quick-start.md').flatMap(page =>
  blocksOf(page)
    .filter(isShell)
    .flatMap(({ where, text }) => text.split('\n').flatMap(line => (line.trim() === '' ? [] : [{ where, line }]))),
)
const beginOf = (line: string, commands: object) => Object.keys(commands).find(begin => line.startsWith(begin))

t.test('every command of README and docs is run by a test, or it is said why it cannot be', t => {
  t.ok(found.length > 20)
  for (const { where, line } of found) {
    const known = [ELSEWHERE, NOT_HERE, HERE].filter(commands => beginOf(line, commands) !== undefined)
    t.equal(known.length, 1, `${where}: ${line}`)
  }
  for (const begin of Object.keys({ ...ELSEWHERE, ...NOT_HERE, ...HERE })) {
    t.ok(
      found.some(({ line }) => line.startsWith(begin)),
      `${begin} is still in the docs`,
    )
  }
  for (const file of Object.values(ELSEWHERE)) t.ok(existsSync(file), file)
  for (const [begin, reason] of Object.entries(NOT_HERE)) t.pass(begin, { skip: reason })
  t.end()
})

t.test('commands do what the page says', { skip: lacksKubectl() || (await lacksTools('curl', 'jq')) }, async t => {
  const { folder, env, filledIn } = await setScene(t)
  const shell = startShell(t, folder, env)
  for (const { where, line } of found) {
    const begin = beginOf(line, HERE)
    const wanted = begin === undefined ? undefined : HERE[begin]
    if (wanted === undefined) continue
    const command = filledIn(line)
    // What serves goes on behind the next command; it is heard of when it has said the first lines.
    const isServing = SERVING.some(each => line.startsWith(each))
    const printed = await shell.run(
      `${where}: ${line}`,
      isServing
        ? `rm -f serving.log; ${command.replace(/ #.*/, '')} >serving.log 2>&1 & until grep -qs listening serving.log; do sleep 0.1; done; cat serving.log`
        : command,
    )
    t.match(printed, wanted, line)
  }
})

/** An API server with what the commands name, and the bundled programs on the PATH. */
async function setScene(t: Test) {
  const folder = t.testdir({ home: {}, token: 'glpat-x' })
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await buildPrograms(join(folder, 'dist'))
  await symlink(kubectlProgram(), join(bin, 'kubectl'))
  // As `npx hadr` finds it in a folder where the package is installed.
  const npx = `#!/bin/sh\nshift\nexec "${process.execPath}" "${folder}/dist/hadr.cjs" "$@"\n`
  await writeFile(join(bin, 'npx'), npx, { mode: 0o755 })

  const api = await startApi(t)
  const { state } = api
  state.addNamespace('ci')
  state.addNamespace('gitlab-runner-hadr')
  state.put('secrets', { metadata: { name: 'gitlab-runner-hadr-ca', namespace: 'gitlab-runner-hadr' }, type: 'Opaque' })
  const labels = { app: 'gitlab-runner', chart: 'gitlab-runner-0.80.0' }
  const runner = { name: 'gitlab-runner', image: 'r' }
  const pod = (name: string, containers: object[]) =>
    state.put('pods', { metadata: { name, namespace: 'ci', labels }, spec: { containers } })
  pod('missed', [runner])
  pod('served', [runner, { name: 'gitlab-runner-hadr', image: 's' }])
  const template = { metadata: { labels }, spec: { containers: [runner] } }
  const spec = { replicas: 1, selector: { matchLabels: labels }, template }
  state.put('deployments', { metadata: { name: 'runner', namespace: 'ci' }, spec })
  await writeFile(join(folder, 'kubeconfig'), api.kubeconfig('test-token'))

  const [port = 0] = await freePorts(1)
  return {
    folder,
    env: {
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      HOME: join(folder, 'home'),
      KUBECONFIG: join(folder, 'kubeconfig'),
      HADR_LISTEN: '127.0.0.1:0',
    },
    /** With the words in capitals replaced, as the page asks for, and a port that is free here. */
    filledIn: (line: string) =>
      line
        .replace('127.0.0.1:8080', `127.0.0.1:${port}`)
        .replace('NAMESPACE', 'ci')
        .replace('deployment RUNNER', 'deployment runner'),
  }
}

t.test('every flag that a page names is one of its command, and every script one of the package', async t => {
  const dist = t.testdir()
  await buildPrograms(dist)
  const helps = new Map<string, string>()
  const helpOf = async (command: string) => {
    const known = helps.get(command)
    if (known !== undefined) return known
    const { stdout } = await promisify(execFile)(process.execPath, [join(dist, 'hadr.cjs'), command, '--help'])
    helps.set(command, stdout)
    return stdout
  }
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
  let flags = 0
  for (const page of PAGES) {
    const text = readFileSync(page, 'utf8')
    const code = [...text.matchAll(/`([^`\n]+)`/g), ...text.matchAll(/^((?:npx )?hadr .*)$/gm)].map(
      ([, each = '']) => each,
    )
    for (const each of code) {
      const [, command = '', rest = ''] = /^(?:npx )?hadr ([a-z]+)\b([^|;]*)/.exec(each) ?? []
      if (command === '') continue
      for (const [, flag = ''] of rest.matchAll(/(?<= )(--[a-z-]+|-[a-z])\b/g)) {
        if (flag === '--help') continue
        flags++
        t.match(await helpOf(command), new RegExp(`(^|[ ,])${flag}[ ,]`, 'm'), `${page}: ${each}`)
      }
    }
    for (const [, script = ''] of text.matchAll(/npm run ([a-z]+)/g))
      t.ok(script in scripts, `${page}: npm run ${script}`)
  }
  t.ok(flags > 20, `${flags} flags`)
})

t.test('every link between pages leads somewhere', t => {
  const anchorsOf = (page: string) =>
    readFileSync(page, 'utf8')
      .split('\n')
      .filter(line => /^#+ /.test(line))
      .map(line =>
        line
          .replace(/^#+ /, '')
          .toLowerCase()
          .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
          .replaceAll(' ', '-'),
      )
  let links = 0
  for (const page of PAGES) {
    const text = readFileSync(page, 'utf8').replaceAll(/^```[^]*?^```$/gm, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : join(page, '..', path)
      links++
      if (!t.ok(existsSync(file), `${page}: ${target}`) || anchor === undefined) continue
      t.ok(anchorsOf(file).includes(anchor), `${page}: ${target}`)
    }
  }
  t.ok(links > 40, `${links} links`)
  const readme = readFileSync('README.md', 'utf8')
  for (const page of PAGES.slice(1)) t.match(readme, `](${page})`, `README names ${page}`)
  t.end()
})
