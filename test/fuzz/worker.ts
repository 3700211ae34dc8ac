import { parentPort, workerData } from 'node:worker_threads'
import { run } from './run.ts'
import type { FuzzTarget } from './target.ts'

/** What a worker is started with; it posts one RunResult. */
export interface WorkerTask {
  /** Module that exports TARGETS. */
  module: string
  target: string
  seed: number
  count: number
  limitMs: number
  /** One 32-bit number: the case that is being tried. */
  progress: SharedArrayBuffer
}

const { module, target: name, progress, ...options } = workerData as WorkerTask
const { TARGETS } = (await import(module)) as { TARGETS: readonly FuzzTarget[] }
const target = TARGETS.find(each => each.name === name)
if (target === undefined) throw new Error(`no target ${name}`)
const tried = new Int32Array(progress)
parentPort?.postMessage(await run(target, { ...options, onCase: () => Atomics.add(tried, 0, 1) }))
