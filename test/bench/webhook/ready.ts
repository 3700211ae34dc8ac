import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '../../../cli/demo/process.ts'
import { systemClock } from '../../../lib/service/clock.ts'
import { startKubernetes } from '../../../simulator/kubernetes/server.ts'
import { baseObjects } from '../../support/cluster.ts'
import type { PartOptions } from '../options.ts'
import { startMeasured, untilReady } from '../process.ts'
import { median } from '../statistics.ts'

const NAMESPACE = 'gitlab-runner-hadr'

export interface ReadyTimes {
  /** From the start of the process to `/readyz`: with its certificates in a Secret, and when it has to make them. */
  withSecretMs: number
  withoutSecretMs: number
}

/** How long a webhook that makes its own certificates is not ready, against the simulated API server. */
export async function measureReady({ programs, folder, durations, say }: PartOptions): Promise<ReadyTimes> {
  const api = await startKubernetes()
  api.state.addToken('webhook', { username: 'webhook' }, 'everything')
  api.state.addNamespace(NAMESPACE)
  const objects = baseObjects(new URL('../../../manifests/base/', import.meta.url).pathname)
  const put = () => {
    for (const object of objects) {
      if (object.kind === 'Secret') api.state.put('secrets', { ...object })
      if (object.kind === 'MutatingWebhookConfiguration') api.state.put('webhookConfigurations', { ...object })
    }
  }
  const kubeconfig = join(folder, 'webhook-kubeconfig.json')
  await writeFile(kubeconfig, api.kubeconfig('webhook', NAMESPACE))
  const config = join(folder, 'self-signed.yaml')

  const start = async (): Promise<number> => {
    const [port = 0, ops = 0] = await freePorts(2)
    await writeFile(
      config,
      JSON.stringify({
        listen: `127.0.0.1:${port}`,
        opsListen: `127.0.0.1:${ops}`,
        sidecar: { image: 'registry.example.com/gitlab-runner-hadr:1.0.0' },
      }),
    )
    const startMs = systemClock.monotonicMs()
    const program = startMeasured({
      name: 'webhook',
      args: [
        ...[join(programs, 'hadr.cjs'), 'webhook', '--config', config],
        ...['--kubeconfig', kubeconfig, '--drain-seconds', '0'],
      ],
      logFile: join(folder, 'ready.log'),
    })
    await untilReady(program, async () => (await fetch(`http://127.0.0.1:${ops}/readyz`)).ok)
    const readyMs = systemClock.monotonicMs() - startMs
    await program.stop()
    return readyMs
  }

  try {
    const [without, withSecret]: [number[], number[]] = [[], []]
    for (let turn = 0; turn < durations.starts; turn++) {
      put()
      without.push(await start())
      withSecret.push(await start())
    }
    const times = { withSecretMs: median(withSecret), withoutSecretMs: median(without) }
    say(`ready after ${times.withSecretMs.toFixed(0)} ms with a Secret, ${times.withoutSecretMs.toFixed(0)} ms without`)
    return times
  } finally {
    await api.close()
  }
}
