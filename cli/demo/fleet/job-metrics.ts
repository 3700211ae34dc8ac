import { reportJobMetrics } from '../job-metrics.ts'
import { MAIN_TAG } from '../stage-options.ts'
import { JOBS_AUDIENCE } from './fleet-stage.ts'
import type { Section, SectionDeps, SectionOutcome } from './section.ts'

/** Long enough for a curve of several phases at one scrape a second. */
const JOB_MS = 16_000
/** One scrape, the queries, and what a busy machine takes longer. */
const WITHIN_MS = 60_000

/** A job's pod lives a known life, ends, and what the decider kept of it is read back as the job itself would. */
export const jobMetrics: Section = { title: 'Every job leaves its metrics', play }

async function play({ stage, screen, paint, clock, signal }: SectionDeps): Promise<SectionOutcome> {
  const { gitlab, jobStage, ciProjectId, deciderUrl } = stage
  if (!jobStage) {
    const why = 'there is no prometheus on the PATH, and nothing else answers range queries'
    screen.tell(paint('yellow', `Left out: ${why}.`))
    return { facts: [['metrics of a job', `not shown: ${why}`]], broken: [] }
  }
  const { id } = gitlab.state.addJob({ project: ciProjectId, tags: [MAIN_TAG], durationMs: JOB_MS })
  const job = jobStage.begin({ id, projectId: ciProjectId, name: 'build', durationMs: JOB_MS })
  const peak = `${job.peakCpuCores} cores and ${job.peakMemoryBytes / 2 ** 20} MiB at its peak`
  screen.tell(`The pod of job ${id} runs for ${JOB_MS / 1000} s and uses ${peak}, as is known beforehand.`)
  try {
    await clock.sleep(JOB_MS, signal)
  } catch {
    return { facts: [], broken: [`stopped while job ${id} ran`] }
  } finally {
    job.end()
  }
  screen.tell('The pod is gone. The decider waits for one more scrape and asks Prometheus for what it used.')
  const idToken = gitlab.state.idToken(id, JOBS_AUDIENCE)
  const { lines, ok } = await reportJobMetrics({ job, deciderUrl, idToken, clock, withinMs: WITHIN_MS })
  for (const line of lines) screen.line(line)
  return {
    facts: [['peaks read back', ok ? 'within 5 % of the known ones' : 'not as they are known']],
    broken: ok ? [] : [`the metrics of job ${id} are not those of its pod`],
  }
}
