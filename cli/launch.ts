import { createRequire } from 'node:module'

/**
 * Heap caps, since V8 would rather grow than collect. Every runner pod pays for a sidecar's memory, and 32 MiB are several
 * times what one needs. Each review is garbage for a webhook: without caps a busy one would outgrow its pod's limit of
 * 256 MiB. Its 128 MiB are as much as V8 allows itself within such a limit, and several times the largest review that an
 * API server sends. What a decider reads of a thousand runners is garbage after each cycle; what it keeps depends on the
 * pools, so that only its young generation is capped.
 */
export const NODE_FLAGS: Readonly<Record<string, readonly string[]>> = {
  sidecar: ['--max-semi-space-size=1', '--max-old-space-size=32'],
  webhook: ['--max-semi-space-size=4', '--max-old-space-size=128'],
  decider: ['--max-semi-space-size=4'],
}

/** `process.execve`, which Node has since 22.15; it replaces the program and keeps the process, its id and its streams. */
type Execve = (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => never

/**
 * Runs the bundle of the command `name` with `argv`, as `process.argv` is to be. The heap caps of a program can only be
 * given at the start of a process; where it cannot be replaced (Node 20) it runs without them.
 */
export function launch(name: string, bundle: string, argv: readonly string[]): void {
  const flags = NODE_FLAGS[name] ?? []
  const { execve } = process as { execve?: Execve }
  if (flags.length > 0 && execve) {
    execve.call(
      process,
      process.execPath,
      [process.execPath, ...process.execArgv, ...flags, bundle, ...argv.slice(2)],
      process.env,
    )
  }
  process.argv = [...argv]
  createRequire(bundle)(bundle)
}
