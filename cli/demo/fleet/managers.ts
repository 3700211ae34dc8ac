import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { GitLabState } from '../../../simulator/gitlab/state.ts'
import type { Kubelet } from '../../../simulator/kubernetes/replicas.ts'
import type { ScrapeTarget } from '../../../simulator/prometheus/endpoint.ts'
import { startPod, untilAvailable } from '../pod.ts'
import { type Program, freePorts } from '../process.ts'
import type { StageOptions } from '../stage-options.ts'

/** Longer than any job of the story. */
const GRACE_MS = 60_000

export interface ManagersOptions {
  state: GitLabState
  gitlabUrl: string
  /** Of the one runner entity that all managers share. */
  runnerToken: string
  runnerId: number
  sidecarTokenFile: string
  stage: StageOptions
  home: string
}

interface Running {
  systemId: string
  programs: Program[]
  targets: ScrapeTarget[]
}

/** What the kubelet of the story runs: for each pod of the Deployment one gitlab-runner and its sidecar. */
export interface Managers {
  kubelet: Kubelet
  targets(): readonly ScrapeTarget[]
  /** For the file_sd_configs of a real Prometheus. */
  targetsFile: string
  /** Running jobs of a pod, by GitLab's own records. */
  jobsOf(pod: string): number
  /** Pods that were given up, with the jobs that each had, and the least that any other pod had at that moment. */
  givenUp: readonly { pod: string; jobs: number; leastElsewhere: number }[]
  close(): Promise<void>
}

export async function createManagers(options: ManagersOptions): Promise<Managers> {
  const { state, stage, home } = options
  const pods = new Map<string, Running>()
  const ending = new Set<Promise<void>>()
  const givenUp: { pod: string; jobs: number; leastElsewhere: number }[] = []
  const targetsFile = join(home, 'targets.json')
  let writing: Promise<void> = Promise.resolve()

  const targets = () => [...pods.values()].flatMap(pod => pod.targets)
  const jobsOf = (pod: string) => {
    const systemId = pods.get(pod)?.systemId
    return state
      .jobs()
      .filter(job => job.status === 'running' && job.runnerId === options.runnerId && job.systemId === systemId).length
  }

  function publishTargets(): void {
    const groups = targets().map(({ job, url }) => ({ targets: [new URL(url).host], labels: { job } }))
    const text = JSON.stringify(groups)
    writing = writing.then(() => writeFile(targetsFile, text)).catch(() => undefined)
  }
  publishTargets()
  await writing

  async function start(name: string, ready: () => void): Promise<void> {
    const [runnerPort = 0, sidecarPort = 0] = await freePorts(2)
    const systemId = `s_${name.slice(-10)}ab`
    const pod = { name, runnerToken: options.runnerToken, systemId, runnerPort, sidecarPort }
    const log = (program: string) => join(home, `${program}.log`)
    const programs = startPod(pod, options.gitlabUrl, options.sidecarTokenFile, stage, log)
    const metrics = (port: number) => `http://127.0.0.1:${port}/metrics`
    pods.set(name, {
      systemId,
      programs,
      targets: [
        { job: 'gitlab-runner-hadr', url: metrics(sidecarPort) },
        { job: 'gitlab-runner', url: metrics(runnerPort) },
      ],
    })
    publishTargets()
    await untilAvailable(`http://127.0.0.1:${sidecarPort}/healthz`, stage)
    ready()
  }

  /** SIGQUIT, as the runner's image should be told: it takes no more jobs and goes when the last one has ended. */
  async function end(name: string): Promise<void> {
    const pod = pods.get(name)
    if (!pod) return
    const [runner, ...others] = pod.programs
    await runner?.stop(GRACE_MS, 'SIGQUIT')
    await Promise.all(others.map(program => program.kill()))
    pods.delete(name)
    publishTargets()
  }

  return {
    targets,
    targetsFile,
    jobsOf,
    givenUp,
    kubelet: {
      start: (pod, ready) => void start(pod, ready).catch(() => undefined),
      stop(pod, gone) {
        const elsewhere = [...pods.keys()].filter(other => other !== pod).map(jobsOf)
        givenUp.push({ pod, jobs: jobsOf(pod), leastElsewhere: Math.min(...elsewhere, Infinity) })
        const work = end(pod).then(gone)
        ending.add(work)
        void work.catch(() => undefined).finally(() => ending.delete(work))
      },
    },
    async close() {
      await Promise.all([...pods.values()].flatMap(({ programs }) => programs.map(program => program.kill())))
      await Promise.allSettled(ending)
      await writing
    },
  }
}
