import { parseExposition } from '../../../sidecar/exposition.ts'
import { mutatedTexts } from '../../support/mutations.ts'
import type { FuzzTarget } from '../target.ts'

const wanted = new Set(['gitlab_runner_jobs', 'gitlab_runner_concurrent', 'gitlab_runner_api_request_statuses_total'])
const text = `# HELP gitlab_runner_jobs The current number of running builds.
# TYPE gitlab_runner_jobs gauge
gitlab_runner_jobs{executor_stage="docker_run",runner="abc",state="running",system_id="s_1"} 2
gitlab_runner_concurrent 10
gitlab_runner_api_request_statuses_total{endpoint="request_job",method="POST",runner="abc",status="204"} 1.5e+03 1700000000000
go_gc_duration_seconds{quantile="0.5"} 2.1e-05
`

/** The runner's own metrics, or whatever else listens at that port: always samples, or the line that is none. */
export const runnerMetrics: FuzzTarget = {
  name: 'runner-metrics',
  input: mutatedTexts(
    [text],
    ['NaN', '+Inf', '{', '}', '="', '\\"', '# EOF', ' '.repeat(300), 'gitlab_runner_jobs{a="b"'.repeat(9)],
  ),
  check: input => {
    const exposition = parseExposition(input, wanted)
    if (!exposition.ok) return 'malformed'
    if (exposition.samples.some(({ name }) => !wanted.has(name))) throw new Error('a sample that nobody asked for')
    return exposition.samples.length > 0 ? 'samples' : 'nothing'
  },
}
