import type { KubernetesState } from './state.ts'
import { asRecord, records, type KubeObject } from './values.ts'

export interface JobPodOptions {
  namespace: string
  jobId: number
  projectId: number
  /** First letters of the runner's token. */
  shortToken?: string
  concurrent?: number
  jobName?: string
  ref?: string
  /** Default `build` and `helper`; each with these limits, if any. */
  containers?: readonly { name: string; limits?: Readonly<Record<string, string>> }[]
  /** Of the labels that GitLab Runner sets since 17.9 only the old `pod`. */
  legacy?: boolean
}

/** A pod as the Kubernetes executor of GitLab Runner makes it for a job: its name, labels and annotations. */
export function jobPodObject(options: JobPodOptions): KubeObject {
  const { namespace, jobId, projectId, shortToken = 'pxy12abcd', concurrent = 0, legacy = false } = options
  const { jobName = `job-${jobId}`, ref = 'main', containers = [{ name: 'build' }, { name: 'helper' }] } = options
  const base = `runner-${shortToken}-project-${projectId}-concurrent-${concurrent}`
  const suffix = jobId.toString(36).padStart(8, '0').slice(-8)
  const labels = {
    pod: base,
    ...(!legacy && {
      'job.runner.gitlab.com/pod': base,
      'project.runner.gitlab.com/id': String(projectId),
      'project.runner.gitlab.com/name': 'app',
      'project.runner.gitlab.com/namespace': 'group',
      'manager.runner.gitlab.com/id-short': shortToken,
      'manager.runner.gitlab.com/name': 'runner',
    }),
  }
  const sha = '9c4f1e0b5a7d2f3c8e6b1a0d4f5e7c9b2a3d6f80'
  return {
    metadata: {
      namespace,
      name: `${base}-${suffix}`,
      labels,
      annotations: {
        'job.runner.gitlab.com/id': String(jobId),
        'job.runner.gitlab.com/name': jobName,
        'job.runner.gitlab.com/ref': ref,
        'job.runner.gitlab.com/sha': sha,
        'job.runner.gitlab.com/before_sha': '0'.repeat(40),
        'job.runner.gitlab.com/url': `https://gitlab.example.com/group/app/-/jobs/${jobId}`,
        'job.runner.gitlab.com/timeout': '1h0m0s',
        'project.runner.gitlab.com/id': String(projectId),
      },
    },
    spec: {
      restartPolicy: 'Never',
      nodeName: 'node-1',
      containers: containers.map(({ name, limits }) => ({
        name,
        image: 'registry.example.com/image:1',
        ...(limits && { resources: { limits: { ...limits } } }),
      })),
    },
    status: { phase: 'Pending' },
  }
}

export interface SimulatedJobPod {
  namespace: string
  name: string
  /** Its containers run since `atMs`. */
  start: (atMs: number) => void
  /** They ended; a container of `oomKilled` was killed for want of memory. The pod stays until it is removed. */
  finish: (atMs: number, outcome?: { oomKilled?: string }) => void
  /** The runner deletes it, as it does when its job ends. */
  remove: () => void
}

/** Puts a pod of a job there, and plays what kubelet and runner do to it. */
export function addJobPod(state: KubernetesState, options: JobPodOptions): SimulatedJobPod {
  const { namespace } = options
  const created = state.put('pods', jobPodObject(options))
  const name = String(asRecord(created['metadata'])?.['name'])

  function setStatus(phase: string, stateOf: (container: string) => KubeObject): void {
    const pod = state.get('pods', namespace, name)
    if (!pod) throw new Error(`no pod ${namespace}/${name}`)
    const containers = records(asRecord(pod['spec'])?.['containers']).map(container => String(container['name']))
    state.setPodStatus(namespace, name, {
      phase,
      containerStatuses: containers.map(container => ({
        name: container,
        restartCount: 0,
        lastState: {},
        state: stateOf(container),
      })),
    })
  }

  let startedAt = ''
  return {
    namespace,
    name,
    start: atMs => {
      startedAt = secondsOf(atMs)
      setStatus('Running', () => ({ running: { startedAt } }))
    },
    finish: (atMs, { oomKilled } = {}) => {
      setStatus(oomKilled === undefined ? 'Succeeded' : 'Failed', container => {
        const killed = container === oomKilled
        const reason = killed ? 'OOMKilled' : 'Completed'
        return { terminated: { exitCode: killed ? 137 : 0, reason, startedAt, finishedAt: secondsOf(atMs) } }
      })
    },
    remove: () => state.remove('pods', namespace, name),
  }
}

/** Kubernetes' times have whole seconds. */
function secondsOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
