import { failed, ok, skipped, type Verdict } from './check.ts'

export interface RunnerConfig {
  /** For people: which object, which key. */
  where: string
  toml: string
}

/** What one `[[runners]]` section says of its cache. */
interface Cache {
  type: string | undefined
  shared: boolean
}

/**
 * Without `Shared = true` gitlab-runner puts the runner's token into the path of every cache, so the runners of another
 * cluster, which are other runners, find none of them. Pure.
 */
export function judgeCache(configs: readonly RunnerConfig[]): Verdict {
  if (configs.length === 0) return skipped('no runner configuration (*.toml) in what the runner pods mount')
  const caches = configs.flatMap(({ where, toml }) => cachesIn(toml).map(cache => ({ where, ...cache })))
  const distributed = caches.filter(({ type }) => type !== undefined && type !== '')
  const alone = distributed.filter(({ shared }) => !shared)
  if (alone.length > 0) {
    const named = alone.map(({ where, type }) => `${where}: cache of type ${type ?? ''} without Shared = true`)
    return failed(
      [...new Set(named)].join('; '),
      'Caches are lost whenever the main tag moves. Set Shared = true in [runners.cache] in all clusters, with one bucket for all, or accept cold caches after a move.',
    )
  }
  return ok(
    distributed.length === 0
      ? 'no distributed cache: every cluster warms its own after a move'
      : 'the distributed cache is Shared',
  )
}

/** The `[runners.cache]` tables of a config.toml, the few lines of TOML that a runner's configuration is made of. */
export function cachesIn(toml: string): Cache[] {
  const caches: Cache[] = []
  let current: Cache | undefined
  for (const raw of toml.split('\n')) {
    const line = raw.trim()
    if (/^\[\[?[^\]]+\]\]?/.test(line)) {
      current = /^\[\s*runners\s*\.\s*cache\s*\]/.test(line) ? { type: undefined, shared: false } : undefined
      if (current) caches.push(current)
      continue
    }
    const [, key = '', value = ''] = /^"?(\w+)"?\s*=\s*(.*?)\s*(?:#.*)?$/.exec(line) ?? []
    if (current && key === 'Type') current.type = value.replace(/^["']|["']$/g, '')
    if (current && key === 'Shared') current.shared = value === 'true'
  }
  return caches
}
