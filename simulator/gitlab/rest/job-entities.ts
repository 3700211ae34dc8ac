import { isoTime, type Context } from '../context.ts'
import type { Job, Runner } from '../model.ts'
import { managerItem, runnerItem } from './runner-entities.ts'

function common(context: Context, job: Job): Record<string, unknown> {
  const { time, store } = context
  const project = store.projects.get(job.projectId)
  const endMs = job.finishedAtMs ?? time.nowMs()
  const queuedUntilMs = job.startedAtMs ?? endMs
  return {
    id: job.id,
    status: job.status,
    stage: 'test',
    name: job.name,
    ref: project?.repository.defaultBranch ?? null,
    tag: false,
    coverage: null,
    allow_failure: false,
    created_at: isoTime(time, job.createdAtMs),
    started_at: isoTime(time, job.startedAtMs),
    finished_at: isoTime(time, job.finishedAtMs),
    erased_at: null,
    duration: job.startedAtMs === null ? null : (endMs - job.startedAtMs) / 1000,
    queued_duration: (queuedUntilMs - job.createdAtMs) / 1000,
    user: null,
    ...(job.status === 'failed' && { failure_reason: job.failureReason }),
    web_url: `${context.externalUrl}/${project?.fullPath ?? ''}/-/jobs/${job.id}`,
  }
}

/** An element of a project's job list, and the job itself. */
export function jobDetails(context: Context, job: Job): Record<string, unknown> {
  const runner = job.runnerId === null ? undefined : context.store.runners.get(job.runnerId)
  const manager = job.systemId === null ? undefined : runner?.managers.get(job.systemId)
  return {
    ...common(context, job),
    project: { ci_job_token_scope_enabled: false },
    artifacts: [],
    runner: runner ? runnerItem(context, runner) : null,
    runner_manager: runner && manager ? managerItem(context, runner, manager) : null,
    artifacts_expire_at: null,
    archived: false,
    tag_list: job.tags,
  }
}

/** An element of a runner's job list. */
export function jobWithProject(context: Context, job: Job): Record<string, unknown> {
  const fullPath = context.store.projects.get(job.projectId)?.fullPath ?? ''
  return {
    ...common(context, job),
    project: { id: job.projectId, name: fullPath.split('/').at(-1), path_with_namespace: fullPath },
  }
}

/**
 * What a manager gets with 201: GitLab's job response, reduced to what a runner reads before it runs anything. The
 * variable `SIMULATED_DURATION_MS` tells a simulated runner how long the script takes; a real one would run the script.
 */
export function jobPayload(context: Context, runner: Runner, job: Job): Record<string, unknown> {
  const project = context.store.projects.get(job.projectId)
  const head = project?.repository.branch(project.repository.defaultBranch)
  const variable = (key: string, value: string) => ({ key, value, public: true, masked: false })
  return {
    id: job.id,
    token: job.token,
    allow_git_fetch: true,
    job_info: {
      id: job.id,
      name: job.name,
      stage: 'test',
      project_id: job.projectId,
      project_name: project?.fullPath.split('/').at(-1),
      time_in_queue_seconds: Math.round(((job.startedAtMs ?? 0) - job.createdAtMs) / 1000),
      project_jobs_running_on_instance_runners_count: '0',
      queue_size: context.jobs.queueSize,
      queue_depth: 1,
    },
    git_info: {
      repo_url: `${context.externalUrl}/${project?.fullPath ?? ''}.git`,
      ref: project?.repository.defaultBranch,
      sha: head?.id,
      before_sha: '0'.repeat(40),
      ref_type: 'branch',
      refspecs: [],
      depth: 20,
    },
    runner_info: { timeout: runner.maximumTimeoutSeconds ?? 3600, runner_session_url: null },
    variables: [
      variable('CI_JOB_ID', String(job.id)),
      variable('CI_PROJECT_ID', String(job.projectId)),
      variable('CI_RUNNER_ID', String(runner.id)),
      variable('CI_RUNNER_TAGS', JSON.stringify(runner.tags)),
      variable('SIMULATED_DURATION_MS', String(job.durationMs)),
    ],
    steps: [
      {
        name: 'script',
        script: [`sleep ${job.durationMs / 1000}`],
        timeout: 3600,
        when: 'on_success',
        allow_failure: false,
      },
    ],
    image: null,
    services: [],
    artifacts: null,
    cache: [],
    credentials: [],
    dependencies: [],
    features: { trace_sections: true, failure_reasons: [] },
  }
}
