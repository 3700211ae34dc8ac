import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { SeedResult } from './run.ts'

/** One piece of work for a worker process; plain data. */
export type Task = { kind: 'seed'; seed: number } | { kind: 'figure'; name: string; part: number }

export type TaskResult = { kind: 'seed'; result: SeedResult } | { kind: 'figure'; values: readonly number[] }

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))

/**
 * Runs tasks in as many processes as there are processors, each at a time of its own; `onResult` gets them as they end.
 * Rejects when a worker dies. `signal` ends everything.
 */
export async function runTasks(
  tasks: Iterable<Task>,
  onResult: (task: Task, result: TaskResult) => void,
  { workers = availableParallelism(), signal = new AbortController().signal } = {},
): Promise<void> {
  const queue = tasks[Symbol.iterator]()
  await Promise.all(Array.from({ length: workers }, () => work(queue, onResult, signal)))
}

async function work(
  queue: Iterator<Task>,
  onResult: (task: Task, result: TaskResult) => void,
  signal: AbortSignal,
): Promise<void> {
  // graphql-js checks every value twice outside production.
  const worker = fork(WORKER, { execArgv: ['--import', 'tsx'], env: { ...process.env, NODE_ENV: 'production' } })
  try {
    for (let next = queue.next(); next.done !== true && !signal.aborted; next = queue.next()) {
      onResult(next.value, await ask(worker, next.value))
    }
  } finally {
    worker.kill()
  }
}

function ask(worker: ChildProcess, task: Task): Promise<TaskResult> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) =>
      reject(new Error(`a worker ended with ${code ?? 'a signal'}: ${JSON.stringify(task)}`))
    worker.once('exit', onExit)
    worker.once('message', (result: TaskResult) => {
      worker.off('exit', onExit)
      resolve(result)
    })
    worker.send(task)
  })
}
