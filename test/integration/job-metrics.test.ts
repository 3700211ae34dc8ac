import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { openJobStage, reportJobMetrics } from '../../cli/demo/job-metrics.ts'
import { freePorts } from '../../cli/demo/process.ts'
import type { StatusReport } from '../../decider/app.ts'
import { DEFAULT_QUERIES } from '../../decider/jobs/queries.ts'
import type { JobMetrics } from '../../decider/jobs/document.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { startPrometheusProcess } from '../../simulator/prometheus/process.ts'
import { startFurnished, TOKENS } from '../support/gitlab.ts'
import { startApi } from '../support/kubernetes.ts'
import { requirePrometheus } from '../support/prometheus.ts'
import { statusMistakes } from '../support/status-schema.ts'
import { until } from '../support/until.ts'

const NAMESPACE = 'gitlab-runners'
const SCRAPE_MS = 1000
const JOB_MS = 16_000

/** The lines of the documentation as they are, from the block that begins with this comment or language. */
function documented(start: string): string {
  const [, block] = readFileSync('docs/job-metrics.md', 'utf8').split(start)
  return block?.split('```')[0] ?? ''
}

async function sh(script: string, cwd: string, env: Record<string, string>) {
  const child = spawn('sh', ['-eu', '-c', script], { cwd, env: { PATH: process.env['PATH'] ?? '', ...env } })
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code: child.exitCode, output, errors }
}

async function startScene(t: Test) {
  const api = await startApi(t)
  const gitlab = await startFurnished(t)
  const stage = await openJobStage({ clock: systemClock, state: api.state, namespace: NAMESPACE })
  t.teardown(() => stage.close())
  const [port = 0] = await freePorts(1)
  const folder = t.testdir({ kubeconfig: api.kubeconfig('test-token'), build: {} })
  const prometheus = await startPrometheusProcess({
    clock: systemClock,
    folder: join(folder, 'prometheus'),
    scrapeConfigs: [stage.scrapeConfig],
    scrapeIntervalMs: SCRAPE_MS,
  })
  t.teardown(() => prometheus.close())
  writeFileSync(
    join(folder, 'decider.yaml'),
    JSON.stringify({
      cluster: 'a',
      gitlab: { url: gitlab.url, group: 33, project: 101 },
      prometheus: { url: prometheus.url },
      pools: [
        {
          mainTag: 'rnd-runner',
          clusters: [
            { name: 'a', tag: 'runner-a' },
            { name: 'b', tag: 'runner-b' },
          ],
        },
      ],
      jobs: {
        namespaces: [NAMESPACE],
        folder: join(folder, 'data'),
        scrapeSeconds: SCRAPE_MS / 1000,
        package: true,
        page: true,
        queries: [
          ...DEFAULT_QUERIES.filter(({ name }) => name !== 'disk_read'),
          { name: 'broken', query: 'sum by (container) (rate(a:b::c{{selector}}[))' },
          { name: 'nothing', query: 'no:such::rule{{selector}}' },
        ],
      },
    }),
  )
  const url = `http://127.0.0.1:${port}`
  const args = ['--import=tsx', 'cli/decider-main.ts', '--config', join(folder, 'decider.yaml'), '--no-lease']
  const start = async () => {
    const child = spawn(process.execPath, [...args, '--listen', `127.0.0.1:${port}`], {
      env: {
        PATH: process.env['PATH'] ?? '',
        HADR_GITLAB_TOKEN: TOKENS.owner,
        KUBECONFIG: join(folder, 'kubeconfig'),
      },
      stdio: 'ignore',
    })
    t.teardown(() => child.kill('SIGKILL'))
    const status = async () => (await (await fetch(`${url}/status`)).json()) as StatusReport
    await until('the decider watches', 60_000, async () => {
      const { jobs } = await status().catch(() => ({ jobs: undefined }))
      return jobs?.namespaces[0]?.silentSeconds !== null && jobs !== undefined
    })
    const stop = async () => {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    return { status, stop }
  }
  const series = async () => {
    const answer = await fetch(`${prometheus.url}/api/v1/query?query=container_cpu_usage_seconds_total`)
    const { data } = (await answer.json()) as { data: { result: unknown[] } }
    return data.result.length
  }
  return { gitlab, stage, folder, url, start, series }
}

t.test(
  'the metrics of a job: partial for its own after_script, complete when it ended, and nobody else’s to read',
  { timeout: 240_000 },
  async t => {
    if (!(await requirePrometheus(t))) return
    const { gitlab, stage, folder, url, start, series } = await startScene(t)
    const decider = await start()
    const { id } = gitlab.state.addJob({ project: 101, tags: ['runner-a'] })
    const { id: other } = gitlab.state.addJob({ project: 101, tags: ['runner-a'] })
    const idToken = gitlab.state.idToken(id, 'gitlab-runner-hadr')
    // Prometheus looks for its targets for about five seconds before the first scrape.
    const early = stage.begin({ id: other, projectId: 101, durationMs: 1000 })
    await until('the first scrape', 30_000, async () => (await series()) > 0)
    early.end()
    const job = stage.begin({ id, projectId: 101, name: 'unit <b>tests</b>', durationMs: JOB_MS })
    const begunMs = systemClock.monotonicMs()

    await systemClock.sleep(JOB_MS / 2)
    const pipeline = parse(documented('# .gitlab-ci.yml\n')) as { test: { after_script: string[] } }
    const environment = { HADR_JOB_TOKEN: idToken, HADR_JOBS: `${url}/jobs`, CI_JOB_ID: String(id) }
    const build = join(folder, 'build')
    const ran = await sh(pipeline.test.after_script.join('\n'), build, environment)
    t.equal(ran.code, 0, ran.errors)
    t.equal(pipeline.test.after_script.length, 3)
    const partial = JSON.parse(readFileSync(join(build, 'job-metrics.json'), 'utf8')) as JobMetrics
    t.match(partial, { partial: true, job: { id, projectId: 101 }, cluster: 'a' })
    t.equal(partial.queries.find(({ name }) => name === 'cpu')?.series.length, 2, 'build and helper, nothing else')
    const report = readFileSync(join(build, 'job-metrics.txt'), 'utf8')
    t.match(report, /^ci_job_metrics_partial 1$/m)
    t.match(report, /^ci_job_cpu_max{container="build"} \d/m)
    const [firstLine = ''] = pipeline.test.after_script
    const wget = documented('Where an image has no curl but wget:\n\n```sh\n')
    const fetched = await sh(`rm job-metrics.txt\n${firstLine}\n${wget}`, build, environment)
    t.equal(fetched.code, 0, fetched.errors)
    t.match(readFileSync(join(build, 'job-metrics.txt'), 'utf8'), /# EOF\n$/)

    const ask = (path: string, token?: string, accept = '*/*') =>
      fetch(`${url}${path}`, { headers: { accept, ...(token !== undefined && { authorization: `Bearer ${token}` }) } })
    const own = `/jobs/${id}/metrics`
    const refusals: [number, Promise<Response>][] = [
      [401, ask(own)],
      [401, ask(own, 'a.b.c')],
      [401, ask(own, gitlab.state.idToken(id, 'vault'))],
      [403, ask(own, gitlab.state.idToken(other, 'gitlab-runner-hadr'))],
      [400, ask(`${own}?format=xml`, idToken)],
      [404, ask('/jobs/x/metrics', idToken)],
    ]
    for (const [status, asked] of refusals) {
      const answer = await asked
      t.equal(answer.status, status)
      t.match(await answer.json(), { error: String, message: String })
    }

    await systemClock.sleep(JOB_MS - (systemClock.monotonicMs() - begunMs))
    job.end()
    const { lines, ok } = await reportJobMetrics({
      job,
      deciderUrl: url,
      idToken,
      clock: systemClock,
      withinMs: 60_000,
    })
    t.ok(ok, lines.join('\n'))
    t.comment(lines.join('\n'))

    const whole = (await (await ask(own, idToken)).json()) as JobMetrics
    const outcomes = Object.fromEntries(whole.queries.map(({ name, outcome }) => [name, outcome]))
    const complete = ['cpu', 'memory', 'network_receive', 'network_transmit', 'disk_write', 'throttling']
    for (const name of complete) t.equal(outcomes[name], 'complete', name)
    t.match(outcomes, { broken: 'failed', nothing: 'empty' })
    const peaks = { network_receive: 8 * 2 ** 20, disk_write: 6 * 2 ** 20, throttling: 0.25 }
    for (const [name, peak] of Object.entries(peaks)) {
      const summary = whole.queries.find(query => query.name === name)?.series[0]?.summary
      const seen = summary?.kind === 'sufficient' ? summary.max : 0
      // They last shorter than the window of a rate, which flattens them.
      t.ok(seen > 0.6 * peak && seen < 1.05 * peak, `${name}: ${seen} of ${peak}`)
    }
    t.match(
      whole.warnings.join('\n'),
      /broken: the query is refused: .*parse error[^]*nothing: Prometheus knows no such/,
    )
    t.match(whole.containers, [{ name: 'build', limits: { cpuCores: 2, memoryBytes: 2 ** 30 }, exitCode: 0 }, {}])
    const cpu = whole.queries[0]?.series.find(({ labels }) => labels['container'] === 'build')?.summary
    const cpuSeconds = cpu?.kind === 'sufficient' ? (cpu.integral ?? 0) : 0
    t.ok(cpuSeconds > 12 && cpuSeconds < 19, `${cpuSeconds} CPU seconds of about 16.2`)
    t.match((await ask(own, idToken, 'application/openmetrics-text')).headers.get('content-type'), /openmetrics/)

    const page = await ask(`/jobs/${id}`)
    const html = await page.text()
    t.equal(page.status, 200)
    t.match(html, '<bdi>unit &lt;b&gt;tests&lt;/b&gt;</bdi>')
    t.match(html, /<polyline class="s0" points="[\d., -]+"\/>/)
    t.match(page.headers.get('content-security-policy'), /default-src 'none'; style-src 'sha256-/)

    await until('the package', 10_000, () =>
      gitlab.state.packageFiles(101).some(({ version }) => version === String(id)),
    )
    const packed = gitlab.state.packageFiles(101).find(({ version }) => version === String(id))
    t.match(packed, { name: 'job-metrics', file: 'metrics.json' })
    t.strictSame(JSON.parse(packed?.content ?? ''), whole)

    const status = await decider.status()
    t.strictSame(statusMistakes(status), [])
    t.match(status.jobs, { running: 0, failingQueries: [{ query: 'broken', message: /refused/ }] })
    const metrics = await (await ask('/metrics')).text()
    t.match(metrics, /^gitlab_runner_hadr_decider_job_metrics_jobs_total{result="collected"} 2$/m)
    t.match(metrics, /^gitlab_runner_hadr_decider_job_metrics_requests_total{status="403"} 1$/m)

    await decider.stop()
    await start()
    t.strictSame(await (await ask(own, idToken)).json(), whole, 'kept over a restart')
  },
)
