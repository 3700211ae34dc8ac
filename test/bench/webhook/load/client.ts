import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { DriveResult } from './drive.ts'
import type { LoadAnswer, LoadTask } from './generator.ts'

/** The load generator, a process of its own, so that what it does for one server cannot disturb us or another one. */
export interface LoadGenerator {
  /** One task after the other. Rejects when an exchange fails or is answered with another status than 200. */
  run(task: LoadTask): Promise<DriveResult>
  stop(): Promise<void>
}

export function startLoadGenerator(script: string): LoadGenerator {
  const child = fork(script, { execArgv: [] })
  return {
    run: async task => {
      child.send(task)
      const answer = await new Promise<LoadAnswer>((resolve, reject) => {
        const onMessage = (message: unknown) => {
          child.off('exit', onExit)
          resolve(message as LoadAnswer)
        }
        const onExit = () => {
          child.off('message', onMessage)
          reject(new Error('the load generator ended'))
        }
        child.once('message', onMessage)
        child.once('exit', onExit)
      })
      if (!answer.ok) throw new Error(answer.problem)
      return answer.result
    },
    stop: async () => {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
  }
}
