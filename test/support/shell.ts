import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { systemClock } from '../../lib/service/clock.ts'

/** One bash that keeps its variables and functions between the blocks it runs, as the one of a reader does. */
export interface Shell {
  /** Runs a block; resolves with what it printed, rejects with it when a command fails or when it takes too long. */
  run(what: string, commands: string, withinMs?: number): Promise<string>
}

const WITHIN_MS = 120_000

/** A bash in `folder` with this environment and no other; it ends with the test. */
export function startShell(t: Test, folder: string, env: Readonly<Record<string, string>>): Shell {
  const child = spawn('bash', ['--noprofile', '--norc'], {
    cwd: folder,
    env: { ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It is gone already.
    }
  }
  t.teardown(end)
  child.stdin.write('set -o errexit -o nounset; exec 2>&1\n')
  const lines = createInterface(child.stdout)
  const ended = new Promise<'ended'>(resolve => child.once('close', () => resolve('ended')))
  const scripts = mkdtempSync(join(tmpdir(), 'hadr-shell-'))
  t.teardown(() => rmSync(scripts, { recursive: true }))
  let turn = 0

  return {
    run: async (what, commands, withinMs = WITHIN_MS) => {
      const mark = `-- end of block ${++turn} --`
      const printed: string[] = []
      const finished = new Promise<'finished'>(resolve => {
        const listen = (line: string) => {
          if (line !== mark) printed.push(line)
          else {
            lines.off('line', listen)
            resolve('finished')
          }
        }
        lines.on('line', listen)
      })
      const script = join(scripts, `${turn}.sh`)
      await writeFile(script, commands)
      child.stdin.write(`. ${script} </dev/null\nprintf '%s\\n' '${mark}'\n`)
      const fail = (why: string) => new Error(`${what}: ${why}\n${commands}\n--- it printed:\n${printed.join('\n')}`)
      let cancel: () => void = () => undefined
      const late = new Promise<'late'>(resolve => (cancel = systemClock.after(withinMs, () => resolve('late'))))
      const outcome = await Promise.race([finished, ended, late])
      cancel()
      if (outcome === 'late') throw fail(`took more than ${withinMs} ms`)
      if (outcome === 'ended') throw fail('a command failed')
      return printed.join('\n')
    },
  }
}
