import { spawnSync } from 'node:child_process'
import t from 'tap'
import { openMetricsOf } from '../../decider/jobs/openmetrics.ts'
import { requirePromtool } from '../support/prometheus.ts'
import { documentOf } from './document.ts'

/**
 * A line of a metrics report as GitLab reads it: what follows `#` is dropped, the rest is split as a shell splits words,
 * the first is the name and the second the value. Throws where a shell would.
 */
function readAsGitLab(text: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const line of text.split('\n')) {
    const words: string[] = []
    let rest = line.replace(/#.*$/, '').trim()
    while (rest !== '') {
      const [word = ''] = /^(?:[^\s"'\\]|"[^"\\]*"|'[^']*'|\\.)+/.exec(rest) ?? []
      if (word === '') throw new Error(`unmatched quote: ${line}`)
      words.push(word.replaceAll(/["']/g, ''))
      rest = rest.slice(word.length).trim()
    }
    const [name, value] = words
    if (name !== undefined && value !== undefined) found.set(name, value)
  }
  return found
}

t.test('GitLab reads one figure per line, rounded so that noise is no change', t => {
  const read = readAsGitLab(openMetricsOf(documentOf()))
  t.equal(read.get('ci_job_cpu_max{container=build}'), '1.23')
  t.equal(read.get('ci_job_memory_max{container=build}'), '123000000')
  t.equal(read.get('ci_job_cpu_integral{container=build}'), '47.3')
  t.equal(read.get('ci_job_duration_seconds'), '60')
  t.equal(read.get('ci_job_oom_killed{container=build}'), '1')
  t.equal(read.get('ci_job_memory_limit_bytes{container=build}'), '1024')
  t.equal(read.get('ci_job_metrics_partial'), '0')
  t.end()
})

t.test('what is insufficient or empty has no line, never a zero', t => {
  const text = openMetricsOf(documentOf())
  t.notMatch(text, /cpu_\w+{container="helper"}/)
  t.notMatch(text, /disk_read/)
  t.ok(text.endsWith('\n# EOF\n'))
  t.end()
})

t.test('label values that a shell would understand lose the letters that it does', t => {
  const [first, ...rest] = documentOf().queries
  if (!first?.series[0]) throw new Error('no query')
  const labels = { container: 'a "b" # c\\ \'d\n$(e)', 'not a name': 'x', __name__: 'y' }
  const series = [{ ...first.series[0], labels }]
  const read = readAsGitLab(openMetricsOf(documentOf({ queries: [{ ...first, series }, ...rest] })))
  t.equal(read.get('ci_job_cpu_max{container=a__b____c___d___e_}'), '1.23')
  t.end()
})

t.test('promtool accepts the text', async t => {
  if (!(await requirePromtool(t))) return
  const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: openMetricsOf(documentOf()) })
  t.equal(status, 0, stderr.toString())
})
