import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createNodeTransport } from '../../lib/http/node-transport.ts'
import { type Clock, type Random, withDeadline } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import { type SimulatedGitLab, startGitLab } from '../../simulator/gitlab/server.ts'
import { type GitLabTiming, GITLAB_TIMING } from '../../simulator/gitlab/timing.ts'
import { startPrometheusEndpoint } from '../../simulator/prometheus/endpoint.ts'
import { startPrometheusProcess } from '../../simulator/prometheus/process.ts'
import { type Program, freePorts, startProgram } from './process.ts'
import type { Membership } from './witness.ts'

export const GROUP_ID = 33
export const HADR_PROJECT_ID = 101
export const MAIN_TAG = 'rnd-runner'

export interface StageOptions {
  /** Multiplies every duration of every program and of GitLab. */
  timeScale: number
  /** Names; each gets the tag `runner-<name>`, in falling priority, and the first holds the main tag at the start. */
  clusters: readonly string[]
  runnersPerCluster: number
  /** The real Prometheus, or the simulated query endpoint where there is none. */
  realPrometheus: boolean
  /** Folder of the bundled programs. */
  programs: string
  /** Holds configurations, tokens, data and logs. */
  folder: string
  clock: Clock
  random: Random
  log: Log
}

export interface StageCluster {
  name: string
  tag: string
  /** The decider's operations address. */
  deciderUrl: string
  sidecarUrls: readonly string[]
  /** Resolves when its runners are available and its decider runs; the same pods again after a `kill`. */
  start(): Promise<void>
  /** SIGKILL for everything at once, as when the cluster's power goes. */
  kill(): Promise<void>
}

/** The whole system on loopback: one GitLab, and per cluster runners, their sidecars, a Prometheus and a decider. */
export interface Stage {
  gitlab: SimulatedGitLab
  members: Membership
  /** Project whose jobs name the main tag. */
  ciProjectId: number
  clusters: readonly StageCluster[]
  close(): Promise<void>
}

/** A runner pod: one gitlab-runner process and its sidecar. */
interface Pod {
  name: string
  runnerToken: string
  systemId: string
  runnerPort: number
  sidecarPort: number
}

/** Sixteen processes start at once on what may be two cores. */
const AVAILABLE_WITHIN_MS = 60_000
const SYSTEM_ID_LETTERS = '0123456789abcdef'

export async function createStage(options: StageOptions): Promise<Stage> {
  const { timeScale, folder } = options
  await mkdir(folder, { recursive: true })
  const gitlab = await startGitLab({
    clock: options.clock,
    random: options.random,
    timing: scaledTiming(timeScale),
    log: options.log,
  })
  const { state } = gitlab
  state.addGroup({ id: GROUP_ID, fullPath: 'ci' })
  state.addProject({ id: HADR_PROJECT_ID, fullPath: 'ci/hadr', group: GROUP_ID })
  const ciProjectId = state.addProject({ fullPath: 'ci/app', group: GROUP_ID }).id

  const members: Record<string, number[]> = {}
  const clusters: StageCluster[] = []
  for (const [index, name] of options.clusters.entries()) {
    const { cluster, runnerIds } = await createCluster(name, index, gitlab, options)
    members[name] = runnerIds
    clusters.push(cluster)
  }
  return {
    gitlab,
    members,
    ciProjectId,
    clusters,
    async close() {
      await Promise.all(clusters.map(cluster => cluster.kill()))
      await gitlab.close()
    },
  }
}

function scaledTiming(factor: number): Partial<GitLabTiming> {
  const names = Object.keys(GITLAB_TIMING) as (keyof GitLabTiming)[]
  const scaled = (value: number | readonly number[]) =>
    typeof value === 'number' ? value * factor : value.map(each => each * factor)
  return Object.fromEntries(names.map(name => [name, scaled(GITLAB_TIMING[name])]))
}

async function createCluster(
  name: string,
  index: number,
  gitlab: SimulatedGitLab,
  options: StageOptions,
): Promise<{ cluster: StageCluster; runnerIds: number[] }> {
  const { folder, timeScale, clock } = options
  const tag = `runner-${name}`
  const home = join(folder, `cluster-${name}`)
  await mkdir(home, { recursive: true })
  const tokens = await createTokens(name, gitlab, home)
  const { pods, runnerIds } = await createPods(name, index, gitlab, options)
  const [deciderPort = 0] = await freePorts(1)
  const logFile = (program: string) => join(home, `${program}.log`)

  let programs: Program[] = []
  let prometheus: { url: string; close(): Promise<void> } | undefined

  const job = 'gitlab-runner-hadr'
  const addresses = pods.map(pod => `127.0.0.1:${pod.sidecarPort}`)
  const scrapeConfigs = [{ job_name: job, static_configs: [{ targets: addresses }] }]
  const targets = addresses.map(address => ({ job, url: `http://${address}/metrics` }))
  const scrapeIntervalMs = Math.round(15_000 * timeScale)

  async function start(): Promise<void> {
    programs = pods.flatMap(pod => startPod(pod, gitlab.url, tokens.sidecar, options, logFile))
    prometheus = options.realPrometheus
      ? await startPrometheusProcess({ clock, folder: join(home, 'prometheus'), scrapeConfigs, scrapeIntervalMs })
      : await startPrometheusEndpoint({
          clock,
          transport: createNodeTransport(),
          targets: () => targets,
          scrapeIntervalMs,
        })
    await Promise.all(pods.map(pod => untilAvailable(`http://127.0.0.1:${pod.sidecarPort}/healthz`, clock)))
    const config = join(home, 'decider.yaml')
    await writeFile(config, deciderConfig(name, gitlab.url, prometheus.url, tokens, options))
    programs.push(
      startProgram(
        {
          name: `decider-${name}`,
          script: join(options.programs, 'decider.cjs'),
          args: ['--config', config, '--listen', `127.0.0.1:${deciderPort}`],
          environment: {},
        },
        logFile('decider'),
        clock,
      ),
    )
  }

  async function kill(): Promise<void> {
    const dying = [...programs.map(program => program.kill()), prometheus?.close() ?? Promise.resolve()]
    programs = []
    prometheus = undefined
    await Promise.all(dying)
  }

  return {
    runnerIds,
    cluster: {
      name,
      tag,
      deciderUrl: `http://127.0.0.1:${deciderPort}`,
      sidecarUrls: pods.map(pod => `http://127.0.0.1:${pod.sidecarPort}`),
      start,
      kill,
    },
  }
}

/** Least rights, as documented: the sidecar reads; of the decider's two tokens neither can do everything. */
async function createTokens(name: string, { state }: SimulatedGitLab, home: string) {
  const owner = { groups: { [GROUP_ID]: 'owner' as const } }
  const tokens = {
    sidecar: { scopes: ['read_api'], groups: { [GROUP_ID]: 'maintainer' } },
    runners: { scopes: ['read_api', 'manage_runner'], ...owner },
    project: { scopes: ['api'], projects: { [HADR_PROJECT_ID]: 'developer' } },
  } as const
  const files = { sidecar: '', runners: '', project: '' }
  for (const [use, rights] of Object.entries(tokens)) {
    const token = `glpat-${use}-${name}`
    state.addToken({ token, name: `${use}-${name}`, ...rights })
    const file = join(home, `${use}.token`)
    files[use as keyof typeof tokens] = file
    await writeFile(file, token, { mode: 0o600 })
  }
  const pushTokens = [`glpat-project-${name}`]
  state.protect({ project: HADR_PROJECT_ID, branch: `hadr/${name}`, pushTokens, allowForce: true })
  return files
}

/**
 * Every other cluster shares one runner entity among its pods, as `glrt-` tokens do; in the others each pod is a runner
 * of its own whose description is the pod's name, as registration tokens made them.
 */
async function createPods(name: string, index: number, { state }: SimulatedGitLab, options: StageOptions) {
  const tags = index === 0 ? [`runner-${name}`, MAIN_TAG] : [`runner-${name}`]
  const shared = index % 2 === 1
  const ports = await freePorts(2 * options.runnersPerCluster)
  const pods: Pod[] = []
  const runnerIds: number[] = []
  let runner = shared ? state.addRunner({ description: `cluster ${name}`, tags, group: GROUP_ID }) : undefined
  for (let pod = 0; pod < options.runnersPerCluster; pod++) {
    const podName = `gitlab-runner-${name}-${pod}`
    if (!shared) runner = state.addRunner({ description: podName, tags, group: GROUP_ID })
    if (!runner) throw new Error('a pod needs a runner')
    if (!runnerIds.includes(runner.id)) runnerIds.push(runner.id)
    pods.push({
      name: podName,
      runnerToken: runner.token,
      systemId: `r_${Array.from({ length: 12 }, () => SYSTEM_ID_LETTERS[Math.floor(options.random() * 16)] ?? '0').join('')}`,
      runnerPort: ports[2 * pod] ?? 0,
      sidecarPort: ports[2 * pod + 1] ?? 0,
    })
  }
  return { pods, runnerIds }
}

function startPod(
  pod: Pod,
  gitlabUrl: string,
  tokenFile: string,
  { programs, timeScale, clock }: StageOptions,
  logFile: (program: string) => string,
): Program[] {
  const runner = startProgram(
    {
      name: pod.name,
      script: join(programs, 'simulated-runner.cjs'),
      args: [
        ...['--gitlab-url', gitlabUrl, '--token', pod.runnerToken, '--name', pod.name, '--system-id', pod.systemId],
        ...['--listen', `127.0.0.1:${pod.runnerPort}`, '--concurrent', '2', '--time-scale', String(timeScale)],
      ],
      environment: {},
    },
    logFile(pod.name),
    clock,
  )
  const sidecar = startProgram(
    {
      name: `${pod.name}-sidecar`,
      script: join(programs, 'sidecar.cjs'),
      args: [
        ...['--gitlab-url', gitlabUrl, '--gitlab-group-id', String(GROUP_ID), '--gitlab-token-file', tokenFile],
        ...['--runner-metrics-url', `http://127.0.0.1:${pod.runnerPort}/metrics`],
        ...['--listen', `127.0.0.1:${pod.sidecarPort}`, '--time-scale', String(timeScale)],
      ],
      environment: { HOSTNAME: pod.name, POD_NAME: pod.name, POD_NAMESPACE: 'gitlab-runners', POD_IP: '127.0.0.1' },
    },
    logFile(`${pod.name}-sidecar`),
    clock,
  )
  return [runner, sidecar]
}

/** Resolves when a sidecar says that its runner can take jobs. */
async function untilAvailable(url: string, clock: Clock): Promise<void> {
  await withDeadline(clock, AVAILABLE_WITHIN_MS, async signal => {
    for (;;) {
      const available = await fetch(url, { signal }).then(
        answer => answer.ok,
        () => false,
      )
      if (available) return
      await clock.sleep(100, signal)
    }
  })
}

/** JSON is YAML. */
function deciderConfig(
  cluster: string,
  gitlabUrl: string,
  prometheusUrl: string,
  tokens: { runners: string; project: string },
  options: StageOptions,
) {
  const { clusters, timeScale } = options
  return JSON.stringify(
    {
      cluster,
      gitlab: {
        url: gitlabUrl,
        group: GROUP_ID,
        project: HADR_PROJECT_ID,
        tokenFile: tokens.runners,
        projectTokenFile: tokens.project,
      },
      prometheus: { url: prometheusUrl },
      timeScale,
      pools: [
        {
          mainTag: MAIN_TAG,
          clusters: clusters.map((name, index) => ({ name, tag: `runner-${name}`, priority: clusters.length - index })),
        },
      ],
    },
    null,
    2,
  )
}
