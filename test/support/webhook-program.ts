import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { systemClock } from '../../lib/service/clock.ts'

// The bundle that is shipped: it is what runs in clusters, and starts in a fraction of the time.
const programs = mkdtempSync(join(tmpdir(), 'hadr-programs-'))
execFileSync(process.execPath, ['build.mjs', programs])
process.once('exit', () => rmSync(programs, { recursive: true }))

/** One line of its log. */
export interface Line {
  level: string
  msg: string
  [field: string]: unknown
}

export interface WebhookProgram {
  lines: readonly Line[]
  /** The first line with such a message. */
  said(message: RegExp): Promise<Line>
  /** Where reviews are taken; resolves once there is a certificate. */
  port(): Promise<number>
  opsUrl(): Promise<string>
  /** Resolves once `/readyz` says ok, or says `verdict`. */
  ready(verdict?: RegExp): Promise<void>
  kill(signal: NodeJS.Signals): void
  ended: Promise<{ code: number | null; signal: string | null; stderr: string }>
}

export const SIDECAR = 'sidecar: {image: registry.example.com/gitlab-runner-hadr:1.0.0}'

/** A folder of its own with these files, which goes with the test; tap's own is one for a whole test. */
export function createFolder(t: Test, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'hadr-webhook-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

/** `hadr webhook` as a process that ends with the test, on free ports of loopback; `yaml` is the rest of its configuration. */
export function startWebhookProgram(t: Test, yaml: string, args: readonly string[] = []): WebhookProgram {
  const folder = createFolder(t, { 'webhook.yaml': `listen: 127.0.0.1:0\nopsListen: 127.0.0.1:0\n${yaml}\n` })
  return launch(t, ['--config', join(folder, 'webhook.yaml'), '--drain-seconds', '0', ...args])
}

/** The same with all arguments as they are. */
export function launch(t: Test, args: readonly string[], env: Record<string, string> = {}): WebhookProgram {
  const child = spawn(process.execPath, [join(programs, 'webhook.cjs'), ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines: Line[] = []
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const reader = createInterface(child.stdout)
  reader.on('line', text => {
    if (text.startsWith('{')) lines.push(JSON.parse(text) as Line)
    else if (text !== '') stderr += `${text}\n`
  })
  const ended = (once(child, 'close') as Promise<[number | null, string | null]>).then(([code, signal]) => {
    reader.emit('line', '')
    return { code, signal, stderr }
  })
  const said = async (message: RegExp): Promise<Line> => {
    for (;;) {
      const found = lines.find(({ msg }) => message.test(msg))
      if (found !== undefined) return found
      if (child.exitCode !== null) throw new Error(`it ended without saying ${String(message)}: ${stderr}`)
      await once(reader, 'line')
    }
  }
  const opsUrl = async () => `http://${String((await said(/^listening$/))['address'])}`
  return {
    lines,
    said,
    opsUrl,
    port: async () => Number(String((await said(/^listening for reviews$/))['address']).replace(/^.*:/, '')),
    ready: async (verdict = /^ok$/) => {
      const url = `${await opsUrl()}/readyz`
      while (!verdict.test((await (await fetch(url)).text()).trim())) await systemClock.sleep(10)
    },
    kill: signal => child.kill(signal),
    ended,
  }
}
