import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import type { Clock } from '../../lib/service/clock.ts'

/** A child process whose output goes to a file; it never outlives its parent's `kill` or `stop`. */
export interface Program {
  name: string
  /** Undefined when it could not be started. */
  pid: number | undefined
  /** Dies at once, as on a lost node. Resolves when it is gone. */
  kill(): Promise<void>
  /**
   * SIGTERM, or another signal, and SIGKILL when it does not leave within `withinMs`. Resolves with the exit code, null if
   * killed.
   */
  stop(withinMs: number, signal?: NodeJS.Signals): Promise<number | null>
}

/** Starts `node <script> <args>`. `environment` is all it sees, so that nothing of the caller's leaks in. */
export function startProgram(
  program: { name: string; script: string; args: readonly string[]; environment: Readonly<Record<string, string>> },
  logFile: string,
  clock: Clock,
): Program {
  const child = spawn(process.execPath, [program.script, ...program.args], {
    env: { ...program.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log = createWriteStream(logFile, { flags: 'a' })
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  const exited = once(child, 'exit') as Promise<[number | null]>
  exited.then(() => log.end()).catch(() => undefined)
  return {
    name: program.name,
    pid: child.pid,
    async kill() {
      send(child, 'SIGKILL')
      await exited
    },
    async stop(withinMs, signal = 'SIGTERM') {
      send(child, signal)
      const cancel = clock.after(withinMs, () => send(child, 'SIGKILL'))
      const [code] = await exited
      cancel()
      return code
    },
  }
}

/** As many distinct free loopback ports as asked for, held until all are known. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(
    servers.map(async server => {
      server.close()
      await once(server, 'close')
    }),
  )
  return ports
}

function send(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal)
}
