import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, readdirSync, readlinkSync, truncateSync } from 'node:fs'
import { systemClock } from '../../lib/service/clock.ts'

/** What a process occupies. `anonymousMiB` is what it has for itself; the rest is files, above all the node binary. */
export interface Memory {
  residentMiB: number
  anonymousMiB: number
}

/** A program under measurement. Its output goes to a file, as a container's log does. */
export interface Measured {
  name: string
  pid: number
  memory(): Memory
  /** Time on processors so far, all threads. */
  cpuMs(): number
  /** Open sockets and other handles. */
  handles(): { sockets: number; others: number }
  /** The end of its output, for error messages. */
  output(): string
  /** Empties its output. */
  forget(): void
  stop(): Promise<void>
}

export interface Launch {
  name: string
  /** Arguments of node. */
  args: readonly string[]
  env?: Readonly<Record<string, string>>
  cwd?: string
  logFile: string
}

const STOP_WITHIN_MS = 3000

/** Starts `node ARGS` with nothing in its environment but `env` and the path. */
export function startMeasured({ name, args, env = {}, cwd, logFile }: Launch): Measured {
  const log = openSync(logFile, 'a')
  const child: ChildProcess = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', log, log],
    ...(cwd !== undefined && { cwd }),
  })
  closeSync(log)
  const ended = once(child, 'exit')
  const { pid } = child
  if (pid === undefined) throw new Error(`${name} cannot be started`)
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  return {
    name,
    pid,
    memory: () => memoryOf(pid),
    cpuMs: () => cpuMsOf(pid),
    handles: () => handlesOf(pid),
    output: () => readFileSync(logFile, 'utf8').slice(-2000),
    forget: () => truncateSync(logFile),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      const cancel = systemClock.after(STOP_WITHIN_MS, kill)
      await ended
      cancel()
      process.off('exit', kill)
    },
  }
}

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const mebibytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
  return { residentMiB: mebibytes('Rss'), anonymousMiB: mebibytes('Anonymous') }
}

/** From the scheduler, which counts in nanoseconds where `/proc/PID/stat` counts in hundredths of a second. */
function cpuMsOf(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`)
  return tasks.reduce((sum, task) => {
    try {
      return sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6
    } catch {
      return sum
    }
  }, 0)
}

export function handlesOf(pid: number): { sockets: number; others: number } {
  const targets = readdirSync(`/proc/${pid}/fd`, { withFileTypes: true }).map(({ name }) => readlink(pid, name))
  const sockets = targets.filter(target => target.startsWith('socket:')).length
  return { sockets, others: targets.length - sockets }
}

function readlink(pid: number, name: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${name}`)
  } catch {
    return ''
  }
}

/** Resolves when `holds`, asked every few milliseconds; rejects with the program's own words when it takes too long. */
export async function untilReady(program: Measured, holds: () => Promise<boolean>, withinMs = 30_000): Promise<void> {
  const endMs = systemClock.monotonicMs() + withinMs
  while (!(await holds().catch(() => false))) {
    if (systemClock.monotonicMs() > endMs) throw new Error(`${program.name} is not ready: ${program.output()}`)
    await systemClock.sleep(2)
  }
}
