import { TransportError, type HttpTransport } from '../../lib/http/transport.ts'

export interface EntryDouble {
  /** As the runner shows it: nine characters of the token. */
  shortToken: string
  systemId: string
  limit: number
  running: number
  good: number
  refused: number
  unhealthy: number
}

/** A runner process as far as its metrics show it. */
export class RunnerDouble {
  state: string | undefined = 'running'
  concurrent = 10
  /** `refused`: nothing listens; `silent`: no answer before the caller gives up; or the text that answers instead. */
  trouble: 'refused' | 'silent' | { text: string } | undefined
  readonly entries: EntryDouble[] = []

  add(shortToken: string, systemId = 'r_AAAAAAAAAAAA'): EntryDouble {
    const entry = { shortToken, systemId, limit: 0, running: 0, good: 0, refused: 0, unhealthy: 0 }
    this.entries.push(entry)
    return entry
  }

  /** A round of job requests that GitLab answers with 204. */
  poll(): void {
    for (const entry of this.entries) entry.good += 1
  }

  /** What a GitLab Runner 19 exposes, with families and labels that nobody here reads. */
  text(): string {
    const lines = [
      '# HELP gitlab_runner_version_info A metric with a constant 1 value labeled by different build stats fields.',
      '# TYPE gitlab_runner_version_info gauge',
      'gitlab_runner_version_info{architecture="amd64",branch="19-4-stable",name="gitlab-runner",version="19.4.0"} 1',
      'go_gc_duration_seconds{quantile="0.5"} 1.5e-05',
      `gitlab_runner_concurrent ${this.concurrent}`,
    ]
    if (this.state !== undefined) lines.push(`gitlab_runner_process_state_info{state="${this.state}"} 1`)
    for (const { shortToken, systemId, limit, running, good, refused, unhealthy } of this.entries) {
      const who = `runner="${shortToken}",runner_name="a \\"name\\"",system_id="${systemId}"`
      const asked = `runner="${shortToken}",system_id="${systemId}",endpoint="request_job",method="post"`
      lines.push(`gitlab_runner_limit{${who}} ${limit}`)
      if (running > 0) lines.push(`gitlab_runner_jobs{${who},state="running",stage="step_script"} ${running}`)
      if (good > 0) lines.push(`gitlab_runner_api_request_statuses_total{${asked},status="204"} ${good}`)
      if (refused > 0) lines.push(`gitlab_runner_api_request_statuses_total{${asked},status="403"} ${refused}`)
      lines.push(`gitlab_runner_worker_health_check_failures_total{${who}} ${unhealthy}`)
      lines.push(
        `gitlab_runner_api_request_statuses_total{runner="${shortToken}",endpoint="patch_trace",status="202"} 7`,
      )
    }
    return `${lines.join('\n')}\n`
  }

  transport(): HttpTransport {
    return ({ signal, url }) => {
      if (this.trouble === 'refused') {
        const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
        return Promise.reject(new TransportError('network', `${url}: connection refused`, { cause }))
      }
      if (this.trouble === 'silent') {
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
        })
      }
      return Promise.resolve({ status: 200, headers: {}, body: this.trouble?.text ?? this.text() })
    }
  }
}
