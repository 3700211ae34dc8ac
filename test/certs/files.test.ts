import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { buildAuthority, buildLeaf } from '../../certs/build.ts'
import { createFileSource } from '../../certs/files.ts'
import { generateRsaKey, randomSerial } from '../../certs/keys.ts'
import { createCertificateMetrics } from '../../certs/metrics.ts'
import { silentLog } from '../../lib/service/log.ts'
import type { ServingPair } from '../../lib/tls/serving-pair.ts'
import { createManualClock, type ManualClock } from '../support/manual-clock.ts'

const [authorityKey, firstKey, secondKey] = await Promise.all([generateRsaKey(), generateRsaKey(), generateRsaKey()])
const clockStartMs = Date.UTC(2026, 0, 1)
const issuer = {
  key: authorityKey,
  certificate: buildAuthority({
    key: authorityKey,
    serial: randomSerial(),
    notBeforeMs: clockStartMs - 1000,
    notAfterMs: clockStartMs + 86_400_000,
  }),
}

function pairOf(key: string, lifeMs = 3_600_000): ServingPair {
  const validity = { notBeforeMs: clockStartMs - 1000, notAfterMs: clockStartMs + lifeMs }
  return { key, certificate: buildLeaf({ key, serial: randomSerial(), names: ['hook'], issuer, ...validity }) }
}

/** Files as the kubelet lays out a Secret: links through `..data`, which one rename points to the next folder. */
async function mountSecret(t: Test, pair: ServingPair) {
  const folder = t.testdir({})
  let version = 0
  const update = async ({ certificate, key }: ServingPair) => {
    const next = `v${++version}`
    await mkdir(join(folder, next))
    await writeFile(join(folder, next, 'tls.crt'), certificate)
    await writeFile(join(folder, next, 'tls.key'), key)
    await symlink(next, join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  await update(pair)
  await symlink('..data/tls.crt', join(folder, 'tls.crt'))
  await symlink('..data/tls.key', join(folder, 'tls.key'))
  return { certificateFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key'), update }
}

/** Until the source has looked once more: the reading of files takes as many turns as it takes. */
async function lookAgain(clock: ManualClock): Promise<void> {
  while (clock.pending === 0) await new Promise(resolve => setImmediate(resolve))
  await clock.advance(11_000)
  while (clock.pending === 0) await new Promise(resolve => setImmediate(resolve))
}

function start(t: Test, files: { certificateFile: string; keyFile: string }) {
  const clock = createManualClock(clockStartMs)
  const registry = new Registry()
  const metrics = createCertificateMetrics(registry)
  const source = createFileSource({ ...files, metrics, clock, random: () => 0.5, log: silentLog })
  const pairs: ServingPair[] = []
  source.subscribe(pair => pairs.push(pair))
  source.start()
  t.teardown(() => source.stop())
  return { clock, source, pairs, registry }
}

t.test('a pair in files is served, and so is a later one when the mounted Secret changes', async t => {
  const [first, second] = [pairOf(firstKey), pairOf(secondKey)]
  const files = await mountSecret(t, first)
  const { clock, source, pairs, registry } = start(t, files)
  await lookAgain(clock)
  t.strictSame(pairs, [first])
  t.equal(source.ready(), true)
  await files.update(second)
  await lookAgain(clock)
  t.strictSame(pairs, [first, second])
  await lookAgain(clock)
  t.equal(pairs.length, 2, 'unchanged files are not taken again')
  t.match(await registry.metrics(), 'certificate_changes_total{result="taken"} 2')
})

t.test('a broken, foreign or expired pair is refused and the old one stays until a good one comes', async t => {
  const [first, second] = [pairOf(firstKey), pairOf(secondKey)]
  const files = await mountSecret(t, first)
  const { clock, source, pairs, registry } = start(t, files)
  await lookAgain(clock)
  for (const bad of [
    { certificate: second.certificate, key: firstKey },
    { certificate: second.certificate.slice(0, 300), key: secondKey },
    { certificate: '', key: '' },
    { certificate: 'x'.repeat(300_000), key: secondKey },
    pairOf(secondKey, -500),
  ]) {
    await files.update(bad)
    await lookAgain(clock)
    t.equal(pairs.length, 1)
    t.equal(source.ready(), true)
  }
  await files.update(second)
  await lookAgain(clock)
  t.strictSame(pairs, [first, second])
  t.match(await registry.metrics(), 'certificate_changes_total{result="refused"} 4')
})

t.test('a replica without a usable pair is not ready and says why, and an expired one makes it unready', async t => {
  const { clock, source, pairs } = start(t, {
    certificateFile: '/nonexistent/tls.crt',
    keyFile: '/nonexistent/tls.key',
  })
  t.equal(source.ready(), 'no certificate yet')
  await lookAgain(clock)
  t.match(source.ready(), /ENOENT.*\/nonexistent\/tls\.crt/)
  t.equal(pairs.length, 0)

  const served = start(t, await mountSecret(t, pairOf(firstKey)))
  await lookAgain(served.clock)
  await served.clock.advance(3_600_000)
  t.equal(served.source.ready(), 'the certificate has expired')
})
