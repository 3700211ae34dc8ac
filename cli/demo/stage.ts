import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createNodeTransport } from '../../lib/http/node-transport.ts'
import { type SimulatedGitLab, startGitLab } from '../../simulator/gitlab/server.ts'
import { type GitLabTiming, GITLAB_TIMING } from '../../simulator/gitlab/timing.ts'
import { startPrometheusEndpoint } from '../../simulator/prometheus/endpoint.ts'
import { startPrometheusProcess } from '../../simulator/prometheus/process.ts'
import { createTokens, deciderConfig } from './cluster-files.ts'
import { createPods, startPod, untilAvailable } from './pod.ts'
import { type Program, freePorts, startProgram } from './process.ts'
import { type StageOptions, GROUP_ID, HADR_PROJECT_ID } from './stage-options.ts'
import type { Membership } from './witness.ts'

export interface StageCluster {
  name: string
  tag: string
  /** The decider's operations address. */
  deciderUrl: string
  sidecarUrls: readonly string[]
  /** Those that run now. */
  programs(): readonly Pick<Program, 'name' | 'pid'>[]
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

/** GitLab's own durations, each multiplied. */
export function scaledTiming(factor: number): Partial<GitLabTiming> {
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
  let prometheus: { url: string; kill(): Promise<void> } | undefined

  const job = 'gitlab-runner-hadr'
  const addresses = pods.map(pod => `127.0.0.1:${pod.sidecarPort}`)
  const scrapeConfigs = [{ job_name: job, static_configs: [{ targets: addresses }] }]
  const targets = addresses.map(address => ({ job, url: `http://${address}/metrics` }))
  const scrapeIntervalMs = Math.round(15_000 * timeScale)

  async function startPrometheus() {
    if (options.realPrometheus) {
      return startPrometheusProcess({ clock, folder: join(home, 'prometheus'), scrapeConfigs, scrapeIntervalMs })
    }
    const transport = createNodeTransport()
    const endpoint = await startPrometheusEndpoint({ clock, transport, targets: () => targets, scrapeIntervalMs })
    return { url: endpoint.url, kill: () => endpoint.close() }
  }

  async function start(): Promise<void> {
    programs = pods.flatMap(pod => startPod(pod, gitlab.url, tokens.sidecar, options, logFile))
    prometheus = await startPrometheus()
    await Promise.all(pods.map(pod => untilAvailable(`http://127.0.0.1:${pod.sidecarPort}/healthz`, options)))
    const config = join(home, 'decider.yaml')
    const servers = { gitlab: gitlab.url, prometheus: prometheus.url }
    const seen = options.reroute ? await options.reroute(name, servers) : servers
    await writeFile(config, deciderConfig(name, seen, tokens, options))
    programs.push(
      startProgram(
        {
          name: `decider-${name}`,
          script: join(options.programs, 'decider.cjs'),
          args: ['--config', config, '--no-lease', '--listen', `127.0.0.1:${deciderPort}`],
          environment: {},
        },
        logFile('decider'),
        clock,
      ),
    )
  }

  async function kill(): Promise<void> {
    const dying = [...programs.map(program => program.kill()), prometheus?.kill() ?? Promise.resolve()]
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
      programs: () => programs,
      start,
      kill,
    },
  }
}
