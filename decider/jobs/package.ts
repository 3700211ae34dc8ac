import { GitLabError, type GitLabClient } from '../../lib/gitlab/types.ts'
import type { JobMetrics } from './document.ts'

const NAME = 'job-metrics'
const FILE = 'metrics.json'

/** Stores documents as generic packages `job-metrics/<job id>`. Rejects when GitLab did not take one. */
export function createPackagePublisher({
  gitlab,
  project,
}: {
  gitlab: Pick<GitLabClient, 'putPackageFile'>
  project: number
}): (metrics: JobMetrics) => Promise<void> {
  return async metrics => {
    const content = `${JSON.stringify(metrics)}\n`
    try {
      await gitlab.putPackageFile({ project, name: NAME, version: String(metrics.job.id), file: FILE, content })
    } catch (error) {
      // Where duplicates are forbidden, an upload whose answer was lost is refused when it is repeated.
      if (error instanceof GitLabError && error.kind === 'refused' && /duplicate/i.test(error.message)) return
      throw error
    }
  }
}
