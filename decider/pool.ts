import { createHash } from 'node:crypto'
import type { PoolRunner } from '../lib/gitlab/types.ts'
import type { PoolConfig, RunnerView } from './model.ts'

/**
 * Hash of what all deciders of a pool must agree on: main tag, clusters' names and tags, strength mode. Priorities,
 * weights and margins may differ; they decide nothing that could take a tag away.
 */
export function digestOf(
  pool: Pick<PoolConfig, 'mainTag' | 'strength'> & { clusters: readonly { name: string; tag: string }[] },
) {
  const clusters = pool.clusters
    .map(({ name, tag }) => [name, tag])
    .sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))
  const agreed = JSON.stringify([pool.mainTag, clusters, pool.strength])
  return createHash('sha256').update(agreed).digest('hex').slice(0, 16)
}

/** A pool's name where the configuration gives none: the main tag in `[a-z0-9-]`, at most 40 characters. */
export function poolNameOf(mainTag: string): string {
  return mainTag
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, 40)
    .replace(/-+$/, '')
}

/**
 * A runner belongs to the cluster whose tag it carries, and to none when it carries several. Never by description or
 * address: pods of two clusters can share both.
 */
export function viewRunner(runner: PoolRunner, contactKnown: boolean, pool: PoolConfig): RunnerView {
  const clusters = pool.clusters.filter(cluster => runner.tags.includes(cluster.tag))
  const [only] = clusters
  return {
    id: runner.id,
    cluster: clusters.length === 1 && only ? only.name : null,
    tagged: runner.tags.includes(pool.mainTag),
    paused: runner.paused,
    online: runner.online,
    contactedAtMs: contactKnown ? runner.contactedAtMs : undefined,
  }
}

/** One pass over all runners, however many clusters there are; those of no cluster are left out. */
export function groupByCluster(runners: readonly RunnerView[]): Map<string, RunnerView[]> {
  const groups = new Map<string, RunnerView[]>()
  for (const runner of runners) {
    if (runner.cluster === null) continue
    const group = groups.get(runner.cluster)
    if (group) group.push(runner)
    else groups.set(runner.cluster, [runner])
  }
  return groups
}
