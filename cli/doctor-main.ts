import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { loadKubeConfig, openConnection } from '../lib/kubernetes/connection.ts'
import { systemClock } from '../lib/service/clock.ts'
import { commandArguments } from './arguments.ts'
import { runDoctor } from './doctor.ts'
import { shakeHands } from './doctor/shake-hands.ts'
import { onTerminal } from './steering/run.ts'
import { VERSION } from './version.ts'

/** Nobody waits longer for a diagnosis. */
const CHECK_DEADLINE_MS = 20_000

const insideCluster = process.env['KUBERNETES_SERVICE_HOST'] !== undefined

/** A person's own kubeconfig counts here: nothing is written. */
function kubeconfigFile(): string | undefined {
  const home = join(homedir(), '.kube', 'config')
  return process.env['KUBECONFIG'] ?? (existsSync(home) ? home : undefined)
}

/** Without any configuration the library would take a server on this machine, which nobody meant. */
async function openKubernetes() {
  if (kubeconfigFile() === undefined && !insideCluster) return 'needs Kubernetes: set KUBECONFIG, or run it in a pod'
  try {
    const kubeConfig = loadKubeConfig(kubeconfigFile(), process.env)
    return await openConnection({ kubeConfig, clock: systemClock, userAgent: `gitlab-runner-hadr-doctor/${VERSION}` })
  } catch (error) {
    return `the kubeconfig cannot be used: ${error instanceof Error ? error.message : String(error)}`
  }
}

void onTerminal(terminal =>
  runDoctor(commandArguments(process.argv, 'doctor'), {
    ...terminal,
    checkDeadlineMs: CHECK_DEADLINE_MS,
    readFile: path => readFile(path, 'utf8'),
    openKubernetes,
    insideCluster,
    shakeHands,
  }),
)
