import { join } from 'node:path'
import { DeadlineError, withDeadline } from '../../lib/service/clock.ts'
import type { SimulatedGitLab } from '../../simulator/gitlab/server.ts'
import { type Program, freePorts, startProgram } from './process.ts'
import { type StageOptions, GROUP_ID, MAIN_TAG } from './stage-options.ts'

/** A runner pod: one gitlab-runner process and its sidecar. */
export interface Pod {
  name: string
  runnerToken: string
  systemId: string
  runnerPort: number
  sidecarPort: number
}

/** Sixteen processes start at once on what may be two cores. */
const AVAILABLE_WITHIN_MS = 120_000
const SYSTEM_ID_LETTERS = '0123456789abcdef'

/**
 * Every other cluster shares one runner entity among its pods, as `glrt-` tokens do; in the others each pod is a runner
 * of its own whose description is the pod's name, as registration tokens made them.
 */
export async function createPods(name: string, index: number, { state }: SimulatedGitLab, options: StageOptions) {
  const tags = index === 0 ? [`runner-${name}`, MAIN_TAG] : [`runner-${name}`]
  const shared = index % 2 === 1
  const ports = await freePorts(2 * options.runnersPerCluster)
  const pods: Pod[] = []
  const runnerIds: number[] = []
  let runner = shared ? state.addRunner({ description: `cluster ${name}`, tags, group: GROUP_ID }) : undefined
  for (let pod = 0; pod < options.runnersPerCluster; pod++) {
    const podName = `gitlab-runner-${name}-${pod}`
    if (!shared) runner = state.addRunner({ description: podName, tags, group: GROUP_ID })
    if (!runner) throw new Error('a pod needs a runner')
    if (!runnerIds.includes(runner.id)) runnerIds.push(runner.id)
    pods.push({
      name: podName,
      runnerToken: runner.token,
      systemId: `r_${Array.from({ length: 12 }, () => SYSTEM_ID_LETTERS[Math.floor(options.random() * 16)] ?? '0').join('')}`,
      runnerPort: ports[2 * pod] ?? 0,
      sidecarPort: ports[2 * pod + 1] ?? 0,
    })
  }
  return { pods, runnerIds }
}

export function startPod(
  pod: Pod,
  gitlabUrl: string,
  tokenFile: string,
  { programs, timeScale, clock }: StageOptions,
  logFile: (program: string) => string,
): Program[] {
  const runner = startProgram(
    {
      name: pod.name,
      script: join(programs, 'simulated-runner.cjs'),
      args: [
        ...['--gitlab-url', gitlabUrl, '--token', pod.runnerToken, '--name', pod.name, '--system-id', pod.systemId],
        ...['--listen', `127.0.0.1:${pod.runnerPort}`, '--concurrent', '2', '--time-scale', String(timeScale)],
      ],
      environment: {},
    },
    logFile(pod.name),
    clock,
  )
  const sidecar = startProgram(
    {
      name: `${pod.name}-sidecar`,
      script: join(programs, 'sidecar.cjs'),
      args: [
        ...['--gitlab-url', gitlabUrl, '--gitlab-group-id', String(GROUP_ID), '--gitlab-token-file', tokenFile],
        ...['--runner-metrics-url', `http://127.0.0.1:${pod.runnerPort}/metrics`],
        ...['--listen', `127.0.0.1:${pod.sidecarPort}`, '--time-scale', String(timeScale)],
      ],
      environment: { HOSTNAME: pod.name, POD_NAME: pod.name, POD_NAMESPACE: 'gitlab-runners', POD_IP: '127.0.0.1' },
    },
    logFile(`${pod.name}-sidecar`),
    clock,
  )
  return [runner, sidecar]
}

/** Resolves when a sidecar says that its runner can take jobs; rejects with what it says instead, if it does not in time. */
export async function untilAvailable(url: string, { clock, signal }: StageOptions): Promise<void> {
  let said = 'nothing'
  const ask = async (deadline: AbortSignal) => {
    for (;;) {
      const answer = await fetch(url, { signal: deadline }).catch(() => undefined)
      if (answer?.ok === true) return
      if (answer !== undefined) said = `${answer.status} ${(await answer.text()).trim()}`
      await clock.sleep(100, deadline)
    }
  }
  await withDeadline(clock, AVAILABLE_WITHIN_MS, ask, signal).catch((error: unknown) => {
    if (!(error instanceof DeadlineError)) throw error
    throw new Error(`no runner to take jobs within ${AVAILABLE_WITHIN_MS / 1000} s; ${url} said: ${said}`)
  })
}
