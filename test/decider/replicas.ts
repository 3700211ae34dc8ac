import { Registry } from 'prom-client'
import { type Decider, type DeciderDeps, createDecider } from '../../decider/app.ts'
import { type DeciderConfig, readDeciderConfig } from '../../decider/config.ts'
import { createGitLabClient } from '../../lib/gitlab/client.ts'
import type { HttpTransport } from '../../lib/http/transport.ts'
import { createKubernetesClient } from '../../lib/kubernetes/client.ts'
import type { Connection } from '../../lib/kubernetes/connection.ts'
import { startElector } from '../../lib/kubernetes/elector.ts'
import { KubernetesError, errorOfAnswer } from '../../lib/kubernetes/errors.ts'
import type { Sample } from '../../lib/prometheus/answer.ts'
import type { Clock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import { type GitLabCore, createGitLab } from '../../simulator/gitlab/core.ts'
import { createSimulatedTransport } from '../../simulator/gitlab/transport.ts'
import { type KubernetesCore, createKubernetes } from '../../simulator/kubernetes/core.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { createRandom } from '../support/random.ts'

export const PROJECT = 101
const GROUP = 33

/** One decider process; `cut` parts it from its API server, `crash` ends it without a word. */
export interface Replica {
  decider: Decider
  registry: Registry
  cut(cut: boolean): void
  crash(): void
}

/** Several pools and several processes per cluster on one virtual clock: simulated GitLab, and an API server per cluster. */
export function createReplicas({ seed = 1, pools = ['rnd'], runners = 2, latencyMs = 30 } = {}) {
  const clock = createManualClock()
  const random = createRandom(seed)
  const gitlab = createGitLab({ clock, random })
  gitlab.state.addGroup({ id: GROUP, fullPath: 'ci' })
  gitlab.state.addProject({ id: PROJECT, fullPath: 'ci/hadr', group: GROUP })
  gitlab.state.addToken({ token: 'glpat-kim', name: 'kim', scopes: ['api'], groups: { [GROUP]: 'owner' } })
  const clusters = ['a', 'b'] as const
  const servers = Object.fromEntries(clusters.map(name => [name, createKubernetes({ clock, random })]))
  for (const { state } of Object.values(servers)) state.addNamespace('ci')
  /** Runner ids by cluster and pool. */
  const ids: Record<string, Record<string, number[]>> = {}
  for (const name of clusters) {
    gitlab.state.addToken({ token: `glpat-${name}`, name, scopes: ['api'], groups: { [GROUP]: 'owner' } })
    gitlab.state.protect({ project: PROJECT, branch: `hadr/${name}`, pushTokens: [`glpat-${name}`], allowForce: true })
    ids[name] = Object.fromEntries(
      pools.map(pool => [
        pool,
        Array.from({ length: runners }, (_, index) => {
          const tags = [`${pool}-${name}`, ...(name === 'a' ? [pool] : [])]
          return gitlab.state.addRunner({ description: `${pool}-${name}-${index}`, tags, group: GROUP }).id
        }),
      ]),
    )
  }

  function configOf(cluster: string, more: object = {}, names = pools): DeciderConfig {
    const result = readDeciderConfig(
      JSON.stringify({
        cluster,
        gitlab: { url: 'http://gitlab.test', group: GROUP, project: PROJECT },
        prometheus: { url: 'http://prometheus.test' },
        pools: names.map(mainTag => ({
          mainTag,
          clusters: clusters.map(name => ({ name, tag: `${mainTag}-${name}` })),
        })),
        ...more,
      }),
    )
    if (!result.ok) throw new Error(JSON.stringify(result.mistakes))
    return result.config
  }

  let started = 0
  /** Starts a process. Without a lease it leads at once, whoever else does. */
  function start(
    cluster: 'a' | 'b',
    options: { lease?: boolean; config?: DeciderConfig; wrap?: (base: HttpTransport) => HttpTransport } = {},
  ): Replica {
    const id = `${cluster}-${++started}`
    let alive = true
    let isCut = false
    const base = createSimulatedTransport(gitlab, { clock, latencyMs: () => latencyMs * (0.5 + random()) })
    const transport = options.wrap?.(base) ?? base
    const client = createGitLabClient({
      url: 'http://gitlab.test',
      transport: request => (alive ? transport(request) : new Promise(() => undefined)),
      token: () => Promise.resolve(`glpat-${cluster}`),
      clock,
      random,
    })
    const server = servers[cluster]
    if (!server) throw new Error('no API server')
    const connection = connect(
      server,
      () => isCut,
      () => alive,
      clock,
    )
    const leases = createKubernetesClient({ connection, clock })
    const registry = new Registry()
    const shared = { namespace: 'ci', name: 'decider', identity: id, clock, random, log: silentLog }
    const deps: DeciderDeps = {
      config: options.config ?? configOf(cluster),
      runners: client,
      project: client,
      prometheus: {
        instant: () => Promise.resolve(samplesOf(Object.values(ids[cluster] ?? {}).flat(), clock.wallMs())),
        range: () => Promise.reject(new Error('not used')),
      },
      identity: { id, version: 'test' },
      dryRun: false,
      registry,
      clock,
      random,
      log: silentLog,
      ...(options.lease === false ? {} : { campaign: onLeading => startElector({ ...shared, leases, onLeading }) }),
    }
    const decider = createDecider(deps)
    decider.start()
    return {
      decider,
      registry,
      cut: cut => {
        isCut = cut
      },
      crash: () => {
        alive = false
      },
    }
  }

  const holders = (pool = pools[0] ?? '') => clusters.filter(name => holding(gitlab, ids[name]?.[pool] ?? [], pool) > 0)
  let gapSinceMs: number | undefined
  let longestGapMs = 0
  gitlab.state.onTagChange(() => {
    const nowMs = clock.monotonicMs()
    if (holders().length === 0) gapSinceMs ??= nowMs
    else if (gapSinceMs !== undefined) {
      longestGapMs = Math.max(longestGapMs, nowMs - gapSinceMs)
      gapSinceMs = undefined
    }
  })

  return {
    clock,
    gitlab,
    servers,
    ids,
    configOf,
    start,
    holders,
    holding: (cluster: string, pool = pools[0] ?? '') => holding(gitlab, ids[cluster]?.[pool] ?? [], pool),
    /** People write their wishes. */
    async wish(pools: object): Promise<void> {
      const exists = gitlab.state.readFile(PROJECT, 'main', 'control.json') !== undefined
      const content = JSON.stringify({ schema: 1, pools })
      const action = { action: exists ? 'update' : 'create', file_path: 'control.json', content }
      const answer = await gitlab.handle({
        method: 'POST',
        path: `/api/v4/projects/${PROJECT}/repository/commits`,
        headers: { 'private-token': 'glpat-kim', 'content-type': 'application/json' },
        body: JSON.stringify({ branch: 'main', commit_message: 'a wish', actions: [action] }),
      })
      if (answer.status !== 201) throw new Error(`${answer.status} ${answer.body}`)
    },
    longestGapMs: () => Math.max(longestGapMs, gapSinceMs === undefined ? 0 : clock.monotonicMs() - gapSinceMs),
    async until(what: string, holds: () => boolean, withinMs: number): Promise<number> {
      const startMs = clock.monotonicMs()
      while (!holds()) {
        if (clock.monotonicMs() - startMs > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`)
        await clock.advance(100)
      }
      return clock.monotonicMs() - startMs
    },
  }
}

export const roleOf = ({ decider }: Replica) => decider.status().role
export const stateOf = ({ decider }: Replica, pool = 0) => decider.status().pools[pool]?.state

function holding(gitlab: GitLabCore, ids: readonly number[], tag: string): number {
  return ids.filter(id => gitlab.state.runner(id).tags.includes(tag)).length
}

/** Straight into the API server's core, so that the virtual clock is in charge of all waits. */
function connect(core: KubernetesCore, isCut: () => boolean, isAlive: () => boolean, clock: Clock): Connection {
  return {
    call: async ({ method, path, subject, body, signal }) => {
      if (!isAlive()) return new Promise(() => undefined)
      if (isCut()) {
        await clock.sleep(4000, signal).catch(() => undefined)
        throw new KubernetesError('unavailable', subject, 'no answer within 4000 ms')
      }
      await clock.sleep(10)
      const headers = { 'content-type': 'application/json' }
      const answer = await core.handle({ method, path, headers, body: body === undefined ? '' : JSON.stringify(body) })
      if (answer.status >= 300) throw errorOfAnswer(subject, answer.status, answer.body, undefined)
      return JSON.parse(answer.body) as unknown
    },
    lines: () => {
      throw new Error('nothing here watches')
    },
    close: () => Promise.resolve(),
  }
}

function samplesOf(ids: readonly number[], nowMs: number) {
  const samples = ids.flatMap((id): Sample[] => {
    const pod = { pod_name: `pod-${id}`, pod_namespace: 'ci', instance: `pod-${id}:9254` }
    const each = (labels: Record<string, string>, value: number) => ({
      labels,
      value,
      raw: String(value),
      timestampMs: nowMs,
    })
    const info = { ...pod, runner_id: String(id) }
    return [
      each({ ...pod, hadr_kind: 'available' }, 1),
      each({ ...pod, hadr_kind: 'available_at' }, nowMs / 1000),
      each({ ...info, hadr_kind: 'info' }, 1),
      each({ ...info, hadr_kind: 'info_at' }, nowMs / 1000),
    ]
  })
  return { kind: 'complete' as const, evaluatedAtMs: nowMs, samples }
}
