import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '../../../cli/demo/process.ts'
import { createTestAuthority } from '../../support/authority.ts'
import { startMeasured, untilReady, type Measured } from '../process.ts'
import { ask } from './answers.ts'
import { installPeers, startPeprStore } from './servers/pepr.ts'
import type { Endpoint } from './load/connection.ts'

export const NAMES = ['floor', 'webhook', 'clone-and-diff', 'pepr'] as const
export type Name = (typeof NAMES)[number]

export interface Contestant {
  name: Name
  program: Measured
  endpoint: Endpoint
}

export interface Contest {
  contestants: readonly Contestant[]
  /** The container that all of them add: the one that the webhook's configuration makes. */
  sidecar: unknown
  opsUrl: string
  stop(): Promise<void>
}

export interface ContestOptions {
  /** For certificates, configuration, logs. */
  folder: string
  /** Folder of the bundled programs. */
  programs: string
  /** A small review of a runner pod. */
  review: string
  say: (line: string) => void
  /** Those to start besides the webhook. */
  names?: readonly Name[]
  /** More arguments of node for the webhook. */
  nodeArgs?: readonly string[]
}

interface SidecarPatch {
  path: string
  value: unknown
}

/** Starts the servers and waits until each answers a review. */
export async function startContest({ folder, programs, review, say, ...options }: ContestOptions): Promise<Contest> {
  const { names = NAMES, nodeArgs = [] } = options
  const certificates = await writeCertificates(folder)
  const [floor = 0, webhook = 0, diff = 0, pepr = 0, ops = 0] = await freePorts(5)
  const started: { stop(): Promise<unknown> }[] = []
  const contestants: Contestant[] = []
  const files = { CERTIFICATE: certificates.certificate, KEY: certificates.key }

  const add = async (name: Name, port: number, path: string, launch: { args: readonly string[]; env?: object }) => {
    const program = startMeasured({
      name,
      args: launch.args,
      env: { ...files, PORT: String(port), ...launch.env },
      logFile: join(folder, `${name}.log`),
    })
    started.push(program)
    const endpoint = { port, ca: certificates.ca, path }
    await untilReady(program, async () => (await ask(endpoint, review)).status === 200)
    contestants.push({ name, program, endpoint })
  }

  const config = join(folder, 'webhook.yaml')
  await writeFile(config, webhookConfig(webhook, ops, certificates))
  await add('webhook', webhook, '/mutate', {
    args: [...nodeArgs, join(programs, 'hadr.cjs'), 'webhook', '--config', config, '--drain-seconds', '0'],
  })
  const patch = patchOf((await ask({ port: webhook, ca: certificates.ca, path: '/mutate' }, review)).body)
  const sidecar = patch.find(({ path }) => path === '/spec/containers/-')?.value
  if (sidecar === undefined) throw new Error('the webhook adds no container')
  const SIDECAR = JSON.stringify(sidecar)

  if (names.includes('floor')) await add('floor', floor, '/', { args: [join(programs, 'floor.cjs')] })
  if (names.includes('clone-and-diff'))
    await add('clone-and-diff', diff, '/mutate', { args: [join(programs, 'clone-and-diff.cjs')], env: { SIDECAR } })
  if (names.includes('pepr')) {
    const home = await installPeers(say)
    const store = await startPeprStore(folder)
    started.push({ stop: () => store.close() })
    await add('pepr', pepr, '/mutate/path', {
      args: [join(home, 'pepr-module.cjs')],
      env: {
        SIDECAR,
        SSL_CERT_PATH: certificates.certificate,
        SSL_KEY_PATH: certificates.key,
        PEPR_API_PATH: 'path',
        KUBECONFIG: store.kubeconfig,
        NODE_ENV: 'production',
      },
    })
  }
  return {
    contestants: contestants.toSorted((a, b) => NAMES.indexOf(a.name) - NAMES.indexOf(b.name)),
    sidecar,
    opsUrl: `http://127.0.0.1:${ops}`,
    stop: async () => {
      for (const each of started.splice(0).reverse()) await each.stop()
    },
  }
}

function patchOf(body: Buffer): SidecarPatch[] {
  const { response } = JSON.parse(body.toString()) as { response: { patch?: string } }
  return JSON.parse(Buffer.from(response.patch ?? '', 'base64').toString() || '[]') as SidecarPatch[]
}

async function writeCertificates(folder: string): Promise<{ ca: string; certificate: string; key: string }> {
  const authority = createTestAuthority('benchmark')
  const leaf = authority.issue({ names: ['localhost'] })
  const [certificate, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
  await writeFile(certificate, leaf.certPem)
  await writeFile(key, leaf.keyPem, { mode: 0o600 })
  return { ca: authority.certPem, certificate, key }
}

export function webhookConfig(port: number, opsPort: number, files: { certificate: string; key: string }): string {
  return JSON.stringify({
    listen: `127.0.0.1:${port}`,
    opsListen: `127.0.0.1:${opsPort}`,
    certificates: { mode: 'files', cert: files.certificate, key: files.key },
    sidecar: {
      image: 'registry.example.com/gitlab-runner-hadr:1.0.0',
      gitlabUrl: 'https://gitlab.example.com',
      gitlabGroupId: 33,
      tokenSecret: 'gitlab-runner-hadr',
    },
  })
}
