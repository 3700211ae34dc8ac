import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import type { Clock } from '../../lib/service/clock.ts'

/** Above what services are known by, below Kubernetes' node ports and what systems give to connections. */
const [FIRST_PORT, LAST_PORT] = [20_000, 29_999]

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

/**
 * As many distinct free loopback ports as asked for, held until all are known. None that the system gives out by itself: such
 * a one could be some other connection's before the program that is told to listen there has started.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, holdPort))
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(
    servers.map(async server => {
      server.close()
      await once(server, 'close')
    }),
  )
  return ports
}

async function holdPort(): Promise<Server> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const server = createServer()
    const listening = once(server, 'listening')
    server.listen(randomInt(FIRST_PORT, LAST_PORT + 1), '127.0.0.1')
    try {
      await listening
      return server
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
  throw new Error(`no port between ${FIRST_PORT} and ${LAST_PORT} is free`)
}

function send(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal)
}
