import { readFileSync } from 'node:fs'
import { Connection, type Endpoint } from './connection.ts'
import { closedLoop, fixedRate, type DriveResult } from './drive.ts'

export interface LoadTask {
  endpoint: Endpoint
  bodyFile: string
  connections: number
  ms: number
  /** Requests per second; absent: each connection asks again as soon as it was answered. */
  perSecond?: number
  /** Ends a closed loop early. */
  limit?: number
}

export type LoadAnswer = { ok: true; result: DriveResult } | { ok: false; problem: string }

async function carryOut(task: LoadTask): Promise<DriveResult> {
  const body = readFileSync(task.bodyFile)
  const opened = Array.from({ length: task.connections }, () => Connection.open(task.endpoint, body))
  const workers = await Promise.all(opened)
  const now = () => performance.now()
  try {
    return task.perSecond === undefined
      ? await closedLoop(workers, task, now)
      : await fixedRate(workers, { ms: task.ms, perSecond: task.perSecond }, now)
  } finally {
    for (const worker of workers) worker.close()
  }
}

process.on('message', (task: LoadTask) => {
  carryOut(task).then(
    result => process.send?.({ ok: true, result } satisfies LoadAnswer),
    (error: unknown) => process.send?.({ ok: false, problem: String(error) } satisfies LoadAnswer),
  )
})
