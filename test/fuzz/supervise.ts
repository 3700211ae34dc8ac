import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { inputAt, type RunResult } from './run.ts'
import type { FuzzTarget } from './target.ts'
import type { WorkerTask } from './worker.ts'

const LOOK_MS = 1000
/** On Node 20 a thread does not take over its parent's way of reading TypeScript. */
const START = `import('tsx/esm/api').then(({ register }) => {
  register()
  return import(${JSON.stringify(new URL('./worker.ts', import.meta.url).href)})
})`

export interface Supervision extends Omit<WorkerTask, 'progress' | 'target'> {
  /** An input that takes longer than this counts as one that never ends. */
  hangMs: number
  onProgress: (tried: number) => void
}

/** Runs a target in a thread of its own, which a reader that never ends can block without blocking us. */
export async function supervise(target: FuzzTarget, { hangMs, onProgress, ...task }: Supervision): Promise<RunResult> {
  const progress = new SharedArrayBuffer(4)
  const tried = new Int32Array(progress)
  const workerData: WorkerTask = { ...task, target: target.name, progress }
  const worker = new Worker(START, { eval: true, workerData })
  const done = once(worker, 'message').then(([result]) => result as RunResult)
  let last = 0
  let stuckMs = 0
  const hung = new Promise<RunResult>(resolve => {
    const timer = setInterval(() => {
      const now = Atomics.load(tried, 0)
      stuckMs = now === last && now > 0 ? stuckMs + LOOK_MS : 0
      last = now
      if (stuckMs === 0 && now > 0) onProgress(now)
      if (stuckMs < hangMs) return
      const error = `took longer than ${hangMs} ms`
      resolve({ tried: now, outcomes: {}, failure: { input: inputAt(target, task.seed, now), error } })
    }, LOOK_MS)
    void worker.once('exit', () => clearInterval(timer))
  })
  try {
    return await Promise.race([done, hung])
  } finally {
    await worker.terminate()
  }
}
