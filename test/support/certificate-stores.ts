import type { CaBundlePublisher, SecretStore } from '../../certs/stores.ts'
import type { Clock } from '../../lib/service/clock.ts'

export interface MemorySecret extends SecretStore {
  /** Another hand writes, whatever the version. */
  overwrite(data: Readonly<Record<string, string>>): void
  read(): Readonly<Record<string, string>>
  readonly writes: number
  readonly conflicts: number
  /** While set, every write fails with it. */
  refusal: Error | undefined
}

/** A Secret as the API server keeps it: every write makes a new version, and one that names an old version is refused. */
export function createMemorySecret(initial: Readonly<Record<string, string>> = {}): MemorySecret {
  let data = { ...initial }
  let version = 1
  let conflicts = 0
  const self: MemorySecret = {
    refusal: undefined,
    get: async () => {
      await turn()
      return { data: { ...data }, resourceVersion: String(version) }
    },
    replace: async (next, resourceVersion) => {
      await turn()
      if (self.refusal !== undefined) throw self.refusal
      if (resourceVersion !== String(version)) {
        conflicts++
        return 'conflict'
      }
      self.overwrite(next)
      return 'written'
    },
    overwrite: next => {
      data = { ...next }
      version++
    },
    read: () => data,
    get writes() {
      return version - 1
    },
    get conflicts() {
      return conflicts
    },
  }
  return self
}

export interface MemoryConfiguration extends CaBundlePublisher {
  overwrite(bundles: readonly string[]): void
  /** What the configuration showed at that time, by the clock that was given. */
  at(wallMs: number): readonly string[]
  readonly writes: number
}

/** A webhook configuration with `webhooks` entries, which remembers what it showed when. */
export function createMemoryConfiguration(webhooks: number, clock: Pick<Clock, 'wallMs'>): MemoryConfiguration {
  const history = [{ sinceMs: Number.NEGATIVE_INFINITY, bundles: new Array<string>(webhooks).fill('') }]
  const latest = () => history.at(-1)?.bundles ?? []
  const self: MemoryConfiguration = {
    read: async () => {
      await turn()
      return { bundles: [...latest()], resourceVersion: String(history.length) }
    },
    publish: async (bundle, resourceVersion) => {
      await turn()
      if (resourceVersion !== String(history.length)) return 'conflict'
      self.overwrite(latest().map(() => bundle))
      return 'written'
    },
    overwrite: bundles => {
      history.push({ sinceMs: clock.wallMs(), bundles: [...bundles] })
    },
    at: atMs => history.findLast(({ sinceMs }) => sinceMs <= atMs)?.bundles ?? [],
    get writes() {
      return history.length - 1
    },
  }
  return self
}

/** Every answer of an API server takes a turn, in which others come in between. */
function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
