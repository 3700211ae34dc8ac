import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { openSync, readFileSync } from 'node:fs'
import { get } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { systemClock } from '../../lib/service/clock.ts'
import { createLoopbackCertificate } from '../../simulator/kubernetes/certificate.ts'
import { createFolder } from './webhook-program.ts'

const START_WITHIN_MS = 120_000

/**
 * A kube-apiserver with its etcd, from the folder `assets`; they end with the test. Nothing else runs: no controllers, no
 * nodes. Answers with where it is, what clients trust, and the token of an administrator.
 */
export async function startRealKubernetes(
  t: Test,
  assets: string,
): Promise<{ url: string; caPem: string; adminToken: string }> {
  const adminToken = 'administrator-of-a-test'
  const { certificatePem, keyPem } = createLoopbackCertificate(systemClock.wallMs())
  const accounts = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const folder = createFolder(t, {
    'tls.crt': certificatePem,
    'tls.key': keyPem,
    'accounts.key': accounts.privateKey,
    'accounts.pub': accounts.publicKey,
    'tokens.csv': `${adminToken},admin,admin,system:masters\n`,
  })
  const [etcdPort, peerPort, port] = await Promise.all([freePort(), freePort(), freePort()])
  const etcdUrl = `http://127.0.0.1:${etcdPort}`
  const start = (program: string, flags: Readonly<Record<string, string>>) => {
    const log = openSync(join(folder, `${program}.log`), 'w')
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
    const child = spawn(join(assets, program), args, { stdio: ['ignore', log, log] })
    const ended = once(child, 'close')
    t.teardown(async () => {
      child.kill('SIGKILL')
      await ended
    })
    return child
  }
  start('etcd', {
    'data-dir': join(folder, 'etcd'),
    'listen-client-urls': etcdUrl,
    'advertise-client-urls': etcdUrl,
    'listen-peer-urls': `http://127.0.0.1:${peerPort}`,
    'unsafe-no-fsync': 'true',
  })
  const server = start('kube-apiserver', {
    'etcd-servers': etcdUrl,
    'bind-address': '127.0.0.1',
    'advertise-address': '127.0.0.1',
    'secure-port': String(port),
    'cert-dir': folder,
    'tls-cert-file': join(folder, 'tls.crt'),
    'tls-private-key-file': join(folder, 'tls.key'),
    'token-auth-file': join(folder, 'tokens.csv'),
    'authorization-mode': 'RBAC',
    'service-account-issuer': 'https://kubernetes.default.svc',
    'service-account-key-file': join(folder, 'accounts.pub'),
    'service-account-signing-key-file': join(folder, 'accounts.key'),
    'service-cluster-ip-range': '10.0.0.0/24',
  })
  const url = `https://127.0.0.1:${port}`
  const endMs = systemClock.monotonicMs() + START_WITHIN_MS
  while (!(await isReady(port, certificatePem))) {
    if (server.exitCode !== null || systemClock.monotonicMs() > endMs)
      throw new Error(`kube-apiserver does not become ready: ${lastLines(join(folder, 'kube-apiserver.log'))}`)
    await systemClock.sleep(100)
  }
  return { url, caPem: certificatePem, adminToken }
}

function isReady(port: number, ca: string): Promise<boolean> {
  return new Promise(resolve => {
    get({ host: '127.0.0.1', port, path: '/readyz', ca, agent: false }, response => {
      response.resume()
      resolve(response.statusCode === 200)
    }).on('error', () => resolve(false))
  })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').split('\n').slice(-20).join('\n')
}
