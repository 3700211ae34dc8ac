import { decide as protocol } from '../../decider/decide.ts'
import { readPoolStatus } from '../../decider/documents.ts'
import { timingOf } from '../../decider/timing.ts'
import type { Timing } from '../../decider/model.ts'
import type { Random } from '../../lib/service/clock.ts'
import { type GitLabCore, createGitLab } from '../../simulator/gitlab/core.ts'
import type { Runner } from '../../simulator/gitlab/model.ts'
import type { TagChange } from '../../simulator/gitlab/observation.ts'
import { createSimulatedTransport } from '../../simulator/gitlab/transport.ts'
import { createRandom } from '../support/random.ts'
import { Fleet } from './fleet.ts'
import { SimulatedPrometheus } from './prometheus.ts'
import type { WorldPlan } from './scenario.ts'
import { type Decide, type SiteWatch, Site } from './site.ts'
import { type VirtualTime, createVirtualTime } from './time.ts'

export const MAIN_TAG = 'rnd-runner'
export const POOL = 'rnd-runner'
export const PROJECT = 101
const GROUP = 33
const ADMIN_TOKEN = 'glpat-people'

/** What a cluster's status file says, and since when, as GitLab has it: the truth that deciders read late. */
export interface PublishedFile {
  cluster: string
  seq: number
  epoch: number
  active: boolean
  atMs: number
}

export interface WorldWatch extends SiteWatch {
  onTagChange(change: TagChange): void
  onFile(file: PublishedFile, before: PublishedFile | undefined): void
}

/** Real deciders with their real loop, client and executor against a simulated GitLab, all on one virtual time. */
export interface World {
  time: VirtualTime
  random: Random
  gitlab: GitLabCore
  plan: WorldPlan
  timing: Timing
  sites: readonly Site[]
  site(name: string): Site
  /** Which cluster a runner belongs to by the tag it carries now. */
  clusterOf(runner: Pick<Runner, 'tags'>): string | undefined
  /** Clusters with an unpaused runner that carries the main tag. */
  holders(): Set<string>
  /** The newest status file of each cluster. */
  files: Map<string, PublishedFile>
  /** People write `control.json`; without wishes an empty one. */
  control(wishes: { pause?: object; pin?: object }): Promise<void>
  /** Since when people have paused the pool. */
  readonly pausedSinceMs: number | undefined
  close(): void
}

export function createWorld(plan: WorldPlan, watch: WorldWatch, decide: Decide = protocol): World {
  const time = createVirtualTime()
  const random = createRandom(plan.seed * 2 + 1)
  const gitlab = createGitLab({ clock: time, random, graphql: plan.graphql })
  const { state } = gitlab
  state.addGroup({ id: GROUP, fullPath: 'ci' })
  state.addProject({ id: PROJECT, fullPath: 'ci/hadr', group: GROUP })
  state.addToken({ token: ADMIN_TOKEN, name: 'people', scopes: ['api'], groups: { [GROUP]: 'owner' } })

  const files = new Map<string, PublishedFile>()
  /** GitLab as the deciders reach it; every push is noticed the moment it is applied. */
  const watched: GitLabCore = {
    ...gitlab,
    async handle(request) {
      try {
        return await gitlab.handle(request)
      } finally {
        if (request.method === 'POST' && request.path.endsWith('/repository/commits')) readFiles()
      }
    },
  }
  const transport = createSimulatedTransport(watched, {
    clock: time,
    latencyMs: () => plan.latencyMs * (0.25 + 0.5 * random()),
  })

  function readFiles(): void {
    for (const { name } of plan.clusters) {
      const reading = readPoolStatus(state.readFile(PROJECT, `hadr/${name}`, 'status.json') ?? null, name, POOL)
      const before = files.get(name)
      if (reading.kind !== 'read' || reading.seq === before?.seq) continue
      const { epoch, active } = reading.status
      const file = { cluster: name, seq: reading.seq, epoch, active, atMs: time.monotonicMs() }
      files.set(name, file)
      watch.onFile(file, before)
    }
  }

  const sites = plan.clusters.map(({ name, pods, entities, stale, tagged }) => {
    const fleet = new Fleet(
      { name, tag: `runner-${name}`, group: GROUP, pods, entities, stale, mainTag: MAIN_TAG, tagged },
      time,
      gitlab,
    )
    const tokens = { runners: `glpat-${name}`, project: plan.twoTokens ? `glpat-${name}-project` : `glpat-${name}` }
    state.addToken({ token: tokens.runners, name, scopes: ['api'], groups: { [GROUP]: 'owner' } })
    if (plan.twoTokens) {
      state.addToken({
        token: tokens.project,
        name: `${name}-project`,
        scopes: ['api'],
        projects: { [PROJECT]: 'maintainer' },
      })
    }
    state.protect({ project: PROJECT, branch: `hadr/${name}`, pushTokens: [tokens.project], allowForce: true })
    return new Site({
      name,
      fleet,
      prometheus: new SimulatedPrometheus(fleet, time, random() * 15_000),
      time,
      random,
      transport,
      tokens,
      configuration: configurationOf(name, plan),
      groupAndProject: { group: GROUP, project: PROJECT },
      watch,
      decide,
    })
  })

  const clusterOf = ({ tags }: Pick<Runner, 'tags'>) =>
    plan.clusters.find(({ name }) => tags.includes(`runner-${name}`))?.name
  let pausedSinceMs: number | undefined
  const stopWatching = state.onTagChange(change => watch.onTagChange(change))

  return {
    time,
    random,
    gitlab,
    plan,
    timing: timingOf(plan.profile),
    sites,
    site(name) {
      const site = sites.find(each => each.name === name)
      if (!site) throw new Error(`no cluster ${name}`)
      return site
    },
    clusterOf,
    holders() {
      const holders = new Set<string>()
      for (const runner of state.runners()) {
        if (runner.paused || !runner.tags.includes(MAIN_TAG)) continue
        const cluster = clusterOf(runner)
        if (cluster !== undefined) holders.add(cluster)
      }
      return holders
    },
    files,
    get pausedSinceMs() {
      return pausedSinceMs
    },
    async control(wishes) {
      const content = JSON.stringify({ schema: 1, pools: { [POOL]: wishes } })
      const exists = state.readFile(PROJECT, 'main', 'control.json') !== undefined
      const request = {
        method: exists ? 'PUT' : 'POST',
        path: `/api/v4/projects/${PROJECT}/repository/files/control.json`,
        headers: { 'content-type': 'application/json', 'private-token': ADMIN_TOKEN },
        body: JSON.stringify({ branch: 'main', content, commit_message: 'wishes' }),
      }
      // People see when GitLab has failed them.
      await gitlab.handle(request).catch(() => undefined)
      if (state.readFile(PROJECT, 'main', 'control.json') !== content) return
      pausedSinceMs = wishes.pause ? time.monotonicMs() : undefined
    },
    close() {
      stopWatching()
      for (const site of sites) site.killDecider()
      for (const site of sites) site.fleet.inhibit()
      gitlab.close()
    },
  }
}

function configurationOf(name: string, plan: WorldPlan): Record<string, unknown> {
  return {
    cluster: name,
    gitlab: { url: 'http://gitlab.test', group: GROUP, project: PROJECT },
    prometheus: { url: 'http://prometheus.test' },
    profile: plan.profile,
    pools: [
      {
        mainTag: MAIN_TAG,
        name: POOL,
        strength: plan.strength,
        margin: plan.margin,
        clusters: plan.clusters.map(cluster => ({
          name: cluster.name,
          tag: `runner-${cluster.name}`,
          priority: cluster.priority,
        })),
      },
    ],
  }
}

/** All of them watch, in this order. */
export function joined(watches: readonly WorldWatch[]): WorldWatch {
  return {
    onPlan: (...args) => watches.forEach(watch => watch.onPlan(...args)),
    onRequest: (...args) => watches.forEach(watch => watch.onRequest(...args)),
    onAnswer: (...args) => watches.forEach(watch => watch.onAnswer(...args)),
    onLife: (...args) => watches.forEach(watch => watch.onLife(...args)),
    onTagChange: (...args) => watches.forEach(watch => watch.onTagChange(...args)),
    onFile: (...args) => watches.forEach(watch => watch.onFile(...args)),
  }
}
