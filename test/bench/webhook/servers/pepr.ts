import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { request as requestApi } from 'node:https'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startKubernetes } from '../../../../simulator/kubernetes/server.ts'

const SOURCE = new URL('../../peers/', import.meta.url).pathname
/** Away from the tests, whose runner would find those that packages bring along. */
const HOME = new URL('../../../../node_modules/.cache/benchmark-peers/', import.meta.url).pathname
const FILES = ['package.json', 'package-lock.json', '.npmrc', 'pepr-module.cjs']

/** Installs pepr as its lock file says, unless that was done before. Returns the folder with `pepr-module.cjs`. */
export async function installPeers(say: (line: string) => void): Promise<string> {
  const lock = await readFile(join(SOURCE, 'package-lock.json'), 'utf8')
  const stamp = join(HOME, 'installed')
  await mkdir(HOME, { recursive: true })
  const installed = await readFile(stamp, 'utf8').catch(() => '')
  for (const file of FILES) await cp(join(SOURCE, file), join(HOME, file))
  if (installed === lock) return HOME
  say('installing pepr, once (about half a minute)')
  const { npm_execpath: npm } = process.env
  const [file, first] = npm === undefined ? ['npm', []] : [process.execPath, [npm]]
  await promisify(execFile)(file, [...first, 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: HOME })
  await writeFile(stamp, lock)
  return HOME
}

export interface PeprStore {
  kubeconfig: string
  close(): Promise<void>
}

const TOKEN = 'pepr'
const STORES = /\/apis\/pepr\.dev\/v1\/namespaces\/([^/?]+)\/peprstores/

/**
 * The API server that pepr's controller needs for its store before it answers anything. The simulated one has no custom
 * resources; a PeprStore is a map of texts, and so it is kept as the ConfigMap of its name.
 */
export async function startPeprStore(folder: string): Promise<PeprStore> {
  const api = await startKubernetes()
  api.state.addToken(TOKEN, { username: 'pepr' }, 'everything')
  api.state.addNamespace('pepr-system')
  for (const use of ['store', 'schedule']) {
    api.state.put('configMaps', {
      metadata: { namespace: 'pepr-system', name: `pepr-benchmark-${use}`, labels: { 'pepr.dev-cacheID': '1' } },
      data: { __pepr_do_not_delete__: 'k-thx-bye' },
    })
  }
  const server: Server = createServer((request, response) => {
    const path = (request.url ?? '').replace(STORES, '/api/v1/namespaces/$1/configmaps')
    const { method, headers } = request
    const upstream = requestApi(new URL(path, api.url), { method, headers, ca: api.caPem }, answer => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    upstream.on('error', () => response.destroy())
    response.on('close', () => upstream.destroy())
    request.pipe(upstream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const kubeconfig = join(folder, 'pepr-kubeconfig.json')
  const { port } = server.address() as AddressInfo
  const config = JSON.parse(api.kubeconfig(TOKEN)) as { clusters: { cluster: object }[] }
  const clusters = config.clusters.map(each => ({
    ...each,
    cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true },
  }))
  await writeFile(kubeconfig, JSON.stringify({ ...config, clusters }))
  return {
    kubeconfig,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
      await api.close()
    },
  }
}
