import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '../../../cli/demo/process.ts'
import { NODE_FLAGS } from '../../../cli/launch.ts'
import { systemClock } from '../../../lib/service/clock.ts'
import { silentLog } from '../../../lib/service/log.ts'
import { startGitLab, type SimulatedGitLab } from '../../../simulator/gitlab/server.ts'
import { createRandom } from '../../support/random.ts'
import type { PartOptions } from '../options.ts'
import { startMeasured, untilReady, type Measured } from '../process.ts'
import { startCountingProxy, type CountingProxy } from '../proxy.ts'

const GROUP = 33
export const READER = 'glpat-sidecar'

/** One runner pod, its runner and its sidecar being processes, and a GitLab with the whole fleet. */
export interface Scene {
  gitlab: SimulatedGitLab
  /** Between the sidecar and GitLab. */
  proxy: CountingProxy
  sidecar: Measured
  /** Starts another sidecar in the place of the one that runs. */
  restart(): Promise<number>
  url: string
  stop(): Promise<void>
}

export interface SceneOptions extends Pick<PartOptions, 'programs' | 'folder'> {
  /** Runners of the group. */
  fleet: number
  timeScale: number
}

export async function startScene({ programs, folder, fleet, timeScale }: SceneOptions): Promise<Scene> {
  const gitlab = await startGitLab({ clock: systemClock, random: createRandom(1), log: silentLog })
  const { state } = gitlab
  state.addGroup({ id: GROUP, fullPath: 'ci' })
  state.addToken({ token: READER, name: 'sidecar', scopes: ['read_api'], groups: { [GROUP]: 'maintainer' } })
  const nameOf = (index: number) => `gitlab-runner-5d9c7b5f6-${String(index).padStart(5, '0')}`
  const runners = Array.from({ length: fleet }, (_, index) =>
    state.addRunner({ group: GROUP, description: nameOf(index), tags: ['runner-a', 'docker'] }),
  )
  const index = Math.floor(fleet / 2)
  const { token = '' } = runners[index] ?? {}
  const proxy = await startCountingProxy(gitlab.url)
  const [runnerPort = 0, port = 0] = await freePorts(2)
  const tokenFile = join(folder, 'sidecar.token')
  await writeFile(tokenFile, READER, { mode: 0o600 })
  const runner = startMeasured({
    name: 'simulated runner',
    args: [
      join(programs, 'simulated-runner.cjs'),
      ...['--gitlab-url', gitlab.url, '--token', token, '--name', nameOf(index), '--system-id', 'r_0123456789ab'],
      ...['--listen', `127.0.0.1:${runnerPort}`, '--concurrent', '2', '--time-scale', String(timeScale)],
    ],
    logFile: join(folder, `runner-${fleet}.log`),
  })
  const url = `http://127.0.0.1:${port}/metrics`

  async function start(): Promise<{ sidecar: Measured; readyMs: number }> {
    const startMs = performance.now()
    const sidecar = startMeasured({
      name: 'sidecar',
      args: [
        ...(NODE_FLAGS['sidecar'] ?? []),
        join(programs, 'sidecar.cjs'),
        ...['--gitlab-url', proxy.url, '--gitlab-group-id', String(GROUP), '--gitlab-token-file', tokenFile],
        ...['--runner-metrics-url', `http://127.0.0.1:${runnerPort}/metrics`],
        ...['--listen', `127.0.0.1:${port}`, '--time-scale', String(timeScale)],
      ],
      env: { HOSTNAME: nameOf(index), POD_NAME: nameOf(index), POD_NAMESPACE: 'ci', POD_IP: '127.0.0.1' },
      logFile: join(folder, `sidecar-${fleet}.log`),
    })
    await untilReady(sidecar, async () => (await fetch(url)).ok)
    return { sidecar, readyMs: performance.now() - startMs }
  }

  let { sidecar } = await start()
  return {
    gitlab,
    proxy,
    get sidecar() {
      return sidecar
    },
    restart: async () => {
      await sidecar.stop()
      const next = await start()
      sidecar = next.sidecar
      return next.readyMs
    },
    url,
    stop: async () => {
      await Promise.all([sidecar.stop(), runner.stop()])
      await proxy.close()
      await gitlab.close()
    },
  }
}
