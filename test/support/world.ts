import { Registry } from 'prom-client'
import { type Decider, createDecider } from '../../decider/app.ts'
import { readDeciderConfig } from '../../decider/config.ts'
import { createGitLabClient } from '../../lib/gitlab/client.ts'
import type { InstantResult } from '../../lib/prometheus/answer.ts'
import { silentLog } from '../../lib/service/log.ts'
import { type GitLabCore, createGitLab } from '../../simulator/gitlab/core.ts'
import { createSimulatedTransport } from '../../simulator/gitlab/transport.ts'
import { type ManualClock, createManualClock } from './manual-clock.ts'
import { createRandom } from './random.ts'

export const MAIN_TAG = 'rnd-runner'
const GROUP = 33
const PROJECT = 101

/** One cluster of a world: its runner entities, and what its Prometheus would say. */
export interface WorldCluster {
  name: string
  runnerIds: number[]
  /** Pods per runner entity that can take jobs; undefined: Prometheus does not answer. */
  available: number | undefined
  decider: Decider | undefined
  start(): void
  /** The decider process is gone; nothing it had under way comes back to it. */
  killDecider(): void
  /** Everything is gone: decider and runners. */
  die(): void
  stop(): Promise<void>
}

export interface World {
  clock: ManualClock
  gitlab: GitLabCore
  clusters: Record<string, WorldCluster>
  /** Clusters with a runner that carries the main tag. */
  holders(): string[]
  /** Moves time until `holds`; fails after `withinMs`. Answers with the time it took. */
  until(holds: () => boolean, withinMs: number): Promise<number>
  /** Milliseconds in which nobody carried the main tag since the first time somebody did. */
  nobodyMs(): number
}

/** Real deciders and real clients against the simulated GitLab, all on one virtual clock. */
export function createWorld(options: {
  clusters: readonly { name: string; tagged?: boolean; runners?: number; priority?: number }[]
  seed?: number
  profile?: string
  latencyMs?: number
  graphql?: boolean
  /** This cluster's decider only says what it would do. */
  dryRun?: string
}): World {
  const clock = createManualClock()
  const random = createRandom(options.seed ?? 1)
  const gitlab = createGitLab({ clock, random, graphql: options.graphql ?? true })
  const { state } = gitlab
  state.addGroup({ id: GROUP, fullPath: 'ci' })
  state.addProject({ id: PROJECT, fullPath: 'ci/hadr', group: GROUP })

  const clusters: Record<string, WorldCluster> = {}
  for (const { name, tagged = false, runners = 2 } of options.clusters) {
    const tags = tagged ? [`runner-${name}`, MAIN_TAG] : [`runner-${name}`]
    const runnerIds = Array.from(
      { length: runners },
      (_, index) => state.addRunner({ description: `${name}-${index}`, tags, group: GROUP }).id,
    )
    const token = `glpat-${name}`
    state.addToken({ token, name, scopes: ['api'], groups: { [GROUP]: 'owner' } })
    state.protect({ project: PROJECT, branch: `hadr/${name}`, pushTokens: [token], allowForce: true })
    clusters[name] = createCluster(name, token, runnerIds)
  }

  function createCluster(name: string, token: string, runnerIds: number[]): WorldCluster {
    const config = readDeciderConfig(
      JSON.stringify({
        cluster: name,
        gitlab: { url: 'http://gitlab.test', group: GROUP, project: PROJECT },
        prometheus: { url: 'http://prometheus.test' },
        profile: options.profile ?? 'balanced',
        pools: [
          {
            mainTag: MAIN_TAG,
            clusters: options.clusters.map(({ name: each, priority = 0 }) => ({
              name: each,
              tag: `runner-${each}`,
              priority,
            })),
          },
        ],
      }),
    )
    if (!config.ok) throw new Error(JSON.stringify(config.mistakes))
    let life = 0
    let runners = new AbortController()
    runners.abort()

    const cluster: WorldCluster = {
      name,
      runnerIds,
      available: 1,
      decider: undefined,
      start() {
        const mine = ++life
        if (runners.signal.aborted) {
          runners = new AbortController()
          for (const id of runnerIds) void poll(gitlab, clock, state.runner(id).token, runners.signal)
        }
        const alive = () => mine === life
        const base = createSimulatedTransport(gitlab, {
          clock,
          latencyMs: () => (options.latencyMs ?? 40) * (0.5 + random()),
        })
        const client = createGitLabClient({
          url: 'http://gitlab.test',
          // A dead process sends nothing and hears nothing.
          transport: request => (alive() ? base(request) : new Promise(() => undefined)),
          token: () => Promise.resolve(token),
          clock,
          random,
        })
        cluster.decider = createDecider({
          config: config.config,
          runners: client,
          project: client,
          prometheus: {
            instant: () => Promise.resolve(samples(cluster, clock.wallMs())),
            range: () => Promise.reject(new Error('not used')),
          },
          identity: { id: `${name}-${mine}`, version: 'test' },
          dryRun: options.dryRun === name,
          registry: new Registry(),
          clock,
          random,
          log: silentLog,
        })
        cluster.decider.start()
      },
      killDecider() {
        life++
        cluster.decider = undefined
      },
      die() {
        cluster.killDecider()
        runners.abort(new Error('the cluster is dead'))
      },
      async stop() {
        const { decider } = cluster
        const stopped = decider?.stop()
        await clock.advance(20_000)
        await stopped
        cluster.killDecider()
      },
    }
    return cluster
  }

  const holders = () =>
    Object.values(clusters)
      .filter(({ runnerIds }) => runnerIds.some(id => state.runner(id).tags.includes(MAIN_TAG)))
      .map(({ name }) => name)

  let somebodyMs = holders().length > 0 ? clock.monotonicMs() : undefined
  let nobodySinceMs: number | undefined
  let nobodyMs = 0
  state.onTagChange(() => {
    const nowMs = clock.monotonicMs()
    const nobody = holders().length === 0
    if (!nobody) somebodyMs ??= nowMs
    if (nobody && somebodyMs !== undefined) nobodySinceMs ??= nowMs
    if (!nobody && nobodySinceMs !== undefined) {
      nobodyMs += nowMs - nobodySinceMs
      nobodySinceMs = undefined
    }
  })

  return {
    clock,
    gitlab,
    clusters,
    holders,
    async until(holds, withinMs) {
      const startMs = clock.monotonicMs()
      while (!holds()) {
        if (clock.monotonicMs() - startMs > withinMs) {
          throw new Error(`not within ${withinMs} ms; ${holders().join(' and ') || 'nobody'} hold`)
        }
        await clock.advance(250)
      }
      return clock.monotonicMs() - startMs
    },
    nobodyMs: () => nobodyMs + (nobodySinceMs === undefined ? 0 : clock.monotonicMs() - nobodySinceMs),
  }
}

/** What an idle runner does: asks for jobs, waits as long as GitLab lets it, and asks again. */
async function poll(gitlab: GitLabCore, clock: ManualClock, token: string, signal: AbortSignal): Promise<void> {
  let lastUpdate = ''
  while (!signal.aborted) {
    try {
      const answer = await gitlab.handle({
        method: 'POST',
        path: '/api/v4/jobs/request',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token, system_id: 'r_000000000000', last_update: lastUpdate, info: {} }),
        signal,
      })
      // Workhorse's own 204 names none; a runner keeps the last one then.
      lastUpdate = answer.headers['x-gitlab-last-update'] ?? lastUpdate
    } catch {
      // A broken connection is tried again, as a runner does.
    }
    await clock.sleep(3000, signal).catch(() => undefined)
  }
}

/** The decider's one query, answered as Prometheus would for one pod per runner entity. */
function samples({ name, runnerIds, available }: WorldCluster, nowMs: number): InstantResult {
  if (available === undefined) return { kind: 'unavailable', message: 'connection refused' }
  const each = (labels: Record<string, string>, value: number) => ({
    labels,
    value,
    raw: String(value),
    timestampMs: nowMs,
  })
  return {
    kind: 'complete',
    evaluatedAtMs: nowMs,
    samples: runnerIds.flatMap(id => {
      const pod = { pod_name: `${name}-${id}`, pod_namespace: 'ci', instance: `${name}-${id}:9254` }
      const info = { ...pod, runner_id: String(id), system_id: 'r_000000000000' }
      return [
        each({ ...pod, hadr_kind: 'available' }, available > 0 ? 1 : 0),
        each({ ...pod, hadr_kind: 'available_at' }, nowMs / 1000),
        each({ ...info, hadr_kind: 'info' }, 1),
        each({ ...info, hadr_kind: 'info_at' }, nowMs / 1000),
        each({ instance: pod.instance, job: 'gitlab-runner-hadr', hadr_kind: 'up' }, 1),
      ]
    }),
  }
}
