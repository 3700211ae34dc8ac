import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGitLab } from '../../../simulator/gitlab/server.ts'
import { buildPrograms } from '../../support/programs.ts'

const RUNNERS = 50
const RUN_MS = 30_000

/** Highest resident memory in MiB of a real decider with one pool and 50 runners; undefined: cannot be told here. */
export async function residentMemoryMiB(): Promise<number | undefined> {
  if (!existsSync('/proc/self/status')) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'hadr-memory-'))
  await buildPrograms(join(folder, 'dist'))
  const gitlab = await startGitLab()
  const { state } = gitlab
  state.addGroup({ id: 33, fullPath: 'ci' })
  state.addProject({ id: 101, fullPath: 'ci/hadr', group: 33 })
  state.addToken({ token: 'glpat-a', name: 'a', scopes: ['api'], groups: { 33: 'owner' } })
  state.protect({ project: 101, branch: 'hadr/a', pushTokens: ['glpat-a'], allowForce: true })
  const ids = Array.from({ length: RUNNERS }, () => state.addRunner({ tags: ['runner-a', 'docker'], group: 33 }).id)
  const prometheus = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(vectorOf(ids)))
  })
  prometheus.listen(0, '127.0.0.1')
  await once(prometheus, 'listening')
  const config = join(folder, 'decider.yaml')
  const { port } = prometheus.address() as AddressInfo
  writeFileSync(
    config,
    JSON.stringify({
      cluster: 'a',
      gitlab: { url: gitlab.url, group: 33, project: 101 },
      prometheus: { url: `http://127.0.0.1:${port}` },
      timeScale: 0.05,
      pools: [{ mainTag: 'rnd-runner', clusters: ['a', 'b'].map(name => ({ name, tag: `runner-${name}` })) }],
    }),
  )
  const args = [join(folder, 'dist/hadr.cjs'), 'decider', '--config', config, '--no-lease', '--listen', '127.0.0.1:0']
  const child = spawn(process.execPath, args, {
    stdio: 'ignore',
    env: { ...process.env, HADR_GITLAB_TOKEN: 'glpat-a' },
  })
  const ended = once(child, 'exit')
  try {
    await new Promise(resolve => setTimeout(resolve, RUN_MS))
    if (child.exitCode !== null) throw new Error(`the decider ended with ${child.exitCode}`)
    const status = readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8')
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024
  } finally {
    child.kill()
    await ended
    prometheus.close()
    await gitlab.close()
    rmSync(folder, { recursive: true })
  }
}

/** What Prometheus answers a decider whose runners, one pod each, are all available. */
export function vectorOf(ids: readonly number[]) {
  const now = Date.now() / 1000
  const each = (metric: Record<string, string>, value: number) => ({ metric, value: [now, String(value)] })
  const result = ids.flatMap(id => {
    const pod = { pod_name: `a-${id}`, pod_namespace: 'ci', instance: `a-${id}:9254` }
    const info = { ...pod, runner_id: String(id), system_id: `s-${id}` }
    return [
      each({ ...pod, hadr_kind: 'available' }, 1),
      each({ ...pod, hadr_kind: 'available_at' }, now),
      each({ ...info, hadr_kind: 'info' }, 1),
      each({ ...info, hadr_kind: 'info_at' }, now),
    ]
  })
  return { status: 'success', data: { resultType: 'vector', result } }
}
