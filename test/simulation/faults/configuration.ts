import { type FaultKind, MINUTE_MS } from './fault.ts'

interface PoolPart {
  strength: string
  clusters: { name: string }[]
}

const forMs = [MINUTE_MS, 30 * MINUTE_MS] as const

function changePool(configuration: Record<string, unknown>, change: (pool: PoolPart) => object) {
  const pools = configuration['pools'] as PoolPart[]
  return { ...configuration, pools: pools.map(pool => ({ ...pool, ...change(pool) })) }
}

export const configurationFaults: readonly FaultKind[] = [
  {
    kind: 'configuration mismatch',
    forMs,
    start: ({ site }) =>
      site.reconfigure(configuration =>
        changePool(configuration, ({ strength }) => ({ strength: strength === 'count' ? 'health' : 'count' })),
      ),
  },
  {
    kind: 'renamed cluster',
    forMs,
    start({ site }) {
      const name = `${site.name}2`
      return site.reconfigure(configuration => ({
        ...changePool(configuration, ({ clusters }) => ({
          clusters: clusters.map(cluster => (cluster.name === site.name ? { ...cluster, name } : cluster)),
        })),
        cluster: name,
      }))
    },
  },
  {
    kind: 'differing priorities',
    forMs,
    start: ({ site, random }) =>
      site.reconfigure(configuration =>
        changePool(configuration, ({ clusters }) => ({
          margin: 1 + Math.floor(random() * 4),
          clusters: clusters.map(cluster => ({ ...cluster, priority: Math.floor(random() * 3) })),
        })),
      ),
  },
]
