import type { Connection } from '../../lib/kubernetes/connection.ts'
import { startWatch, type WatchTiming } from '../../lib/kubernetes/watch.ts'
import type { KubernetesObject } from '../../lib/kubernetes/types.ts'
import type { Clock, Random } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import { readJobPod, type JobPod } from './pod.ts'

/** A job's pod in which a container has run. */
export type StartedPod = JobPod & { startedMs: number }

export interface JobWatchOptions {
  connection: Connection
  namespaces: readonly string[]
  selector: string
  clock: Clock
  random: Random
  log: Log
  timing?: WatchTiming
  /** Called once per pod, when its phase says that it ended or when it is gone; `endMs` in milliseconds since 1970. */
  onEnded: (pod: StartedPod, endMs: number) => void
}

export interface JobWatch {
  /** The pod of a job, while it runs. */
  running(jobId: number): StartedPod | undefined
  readonly runningPods: number
  /** Per namespace for how long the API server has said nothing; null before the first list. */
  silentForMs(): Readonly<Record<string, number | null>>
  stop(): Promise<void>
}

/**
 * Follows the pods of jobs by label. A pod whose containers never started has no metrics and is never told of; one that
 * ended before this process began is told of at the first list, once.
 */
export function startJobWatch(options: JobWatchOptions): JobWatch {
  const { connection, namespaces, selector, clock, random, log, timing } = options
  const views = namespaces.map(namespace => {
    const view = createView(options)
    const watch = startWatch({
      connection,
      path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`,
      subject: `pods ${namespace}`,
      labelSelector: selector,
      clock,
      random,
      log,
      ...(timing && { timing }),
      onObjects: view.show,
    })
    return { namespace, view, watch }
  })

  return {
    running(jobId) {
      const pods = views.flatMap(({ view }) => view.running().filter(({ job }) => job.id === jobId))
      return pods.sort((a, b) => b.startedMs - a.startedMs)[0]
    },
    get runningPods() {
      return views.reduce((sum, { view }) => sum + view.running().length, 0)
    },
    silentForMs: () =>
      Object.fromEntries(views.map(({ namespace, watch }) => [namespace, watch.silentForMs() ?? null])),
    async stop() {
      await Promise.all(views.map(({ watch }) => watch.stop()))
    },
  }
}

/** What was seen of one namespace's pods, and which of them were told of. */
function createView({ clock, onEnded }: Pick<JobWatchOptions, 'clock' | 'onEnded'>) {
  const pods = new Map<string, { pod: JobPod; version: string | undefined; told: boolean }>()

  function tell(uid: string): void {
    const entry = pods.get(uid)
    if (!entry || entry.told) return
    entry.told = true
    const { pod } = entry
    if (isStarted(pod)) onEnded(pod, Math.max(pod.startedMs, pod.finishedMs ?? clock.wallMs()))
  }

  return {
    show: (objects: readonly KubernetesObject[]): void => {
      const present = new Set<string>()
      for (const object of objects) {
        const { uid = '', resourceVersion } = object.metadata
        present.add(uid)
        const known = pods.get(uid)
        if (known && known.version === resourceVersion) continue
        const pod = readJobPod(object)
        if (!pod) continue
        pods.set(uid, { pod, version: resourceVersion, told: known?.told ?? false })
        if (pod.ended) tell(uid)
      }
      for (const uid of pods.keys()) {
        if (present.has(uid)) continue
        tell(uid)
        pods.delete(uid)
      }
    },
    running: (): StartedPod[] => [...pods.values()].flatMap(({ pod, told }) => (!told && isStarted(pod) ? [pod] : [])),
  }
}

function isStarted(pod: JobPod): pod is StartedPod {
  return pod.startedMs !== undefined
}
