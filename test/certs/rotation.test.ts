import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { authorityOf, decodeAuthorities, encodeAuthorities } from '../../certs/authorities.ts'
import { buildAuthority, serviceNames } from '../../certs/build.ts'
import { randomSerial, type GenerateKey } from '../../certs/keys.ts'
import { createCertificateMetrics } from '../../certs/metrics.ts'
import { createSelfSignedSource, type SelfSignedTiming } from '../../certs/self-signed.ts'
import { systemClock, type Clock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import {
  createMemoryConfiguration,
  createMemorySecret,
  type MemoryConfiguration,
  type MemorySecret,
} from '../support/certificate-stores.ts'
import { createManualClock, type ManualClock } from '../support/manual-clock.ts'
import { createRandom } from '../support/random.ts'
import { createKeyPool, shakeHands, startTlsServer, trusts } from '../support/tls.ts'

const MINUTE_MS = 60_000
const names = serviceNames('hadr-webhook', 'hadr-system')
const servername = 'hadr-webhook.hadr-system.svc'
const pool = await createKeyPool(8)

const timing: SelfSignedTiming = {
  authorityLifeMs: 180 * MINUTE_MS,
  leafLifeMs: 30 * MINUTE_MS,
  settleMs: 5 * MINUTE_MS,
  lookMs: 30_000,
}

interface ReplicaOptions {
  secrets: MemorySecret
  bundles: MemoryConfiguration
  clock: Clock
  seed: number
  timing?: SelfSignedTiming
  generateKey?: GenerateKey
}

/** One replica: its source of certificates, wired to a TLS server of its own. */
async function startReplica(t: Test, { seed, ...options }: ReplicaOptions) {
  const server = await startTlsServer(t)
  const registry = new Registry()
  const metrics = createCertificateMetrics(registry)
  const deps = { names, metrics, random: createRandom(seed), log: silentLog, generateKey: pool, timing, ...options }
  const source = createSelfSignedSource(deps)
  let pairs = 0
  source.subscribe(pair => {
    pairs++
    server.use(pair)
  })
  source.start()
  t.teardown(() => source.stop())
  const sample = async (name: string, labels = {}) => {
    const metric = await registry.getSingleMetric(`gitlab_runner_hadr_webhook_${name}`)?.get()
    return metric?.values.find(value => Object.entries(labels).every(([key, label]) => value.labels[key] === label))
      ?.value
  }
  return { port: server.port, source, sample, pairs: () => pairs }
}

/** Moves on in steps short enough that whatever was woken is done before the next timer. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let step = 0; step < ms; step += 1000) await clock.advance(Math.min(1000, ms - step))
}

async function until(clock: ManualClock, holds: () => boolean): Promise<void> {
  for (let step = 0; step < 600 && !holds(); step++) await pass(clock, 1000)
  if (!holds()) throw new Error('nothing of the kind within ten minutes')
}

t.test('three replicas rotate leaves and authority, and a client that lags 60 s behind never fails', async t => {
  const clock = createManualClock()
  const secrets = createMemorySecret()
  const bundles = createMemoryConfiguration(2, clock)
  const replicas = await Promise.all([1, 2, 3].map(seed => startReplica(t, { secrets, bundles, clock, seed })))
  await until(clock, () => replicas.every(({ source }) => source.ready() === true))
  const [first] = bundles.at(clock.wallMs())
  // API servers that have not heard yet of the first caBundle know of no webhook either.
  await pass(clock, MINUTE_MS)

  const failures: string[] = []
  const served = new Set<string>()
  const shake = async (ports: readonly number[], minute: number) => {
    for (const lagMs of [0, MINUTE_MS]) {
      const [bundle = ''] = bundles.at(clock.wallMs() - lagMs)
      for (const [index, port] of ports.entries()) {
        const { certificate } = await shakeHands(port, { ca: bundle, servername })
        served.add(certificate?.issuer ?? '')
        if (!trusts(bundle, certificate, clock.wallMs()))
          failures.push(`replica ${index}, lag ${lagMs} ms, minute ${minute}`)
      }
    }
  }
  const ports = replicas.map(({ port }) => port)
  // The successor is due after two thirds of a life that began five minutes in the past.
  for (let minute = 0; minute < 170; minute += 5) {
    const busy = minute >= 110 && minute < 130
    for (let step = 0; step < 5 * 3; step++) {
      if (busy || step % 6 === 0) await shake(ports, minute)
      if (busy && step % 3 === 0) {
        const late = await startReplica(t, { secrets, bundles, clock, seed: minute + step })
        await until(clock, () => late.source.ready() === true)
        await shake([late.port], minute)
        await late.source.stop()
      }
      await pass(clock, 20_000)
    }
  }

  t.strictSame(failures, [])
  t.equal(served.size, 2, 'both authorities were served')
  const [last = ''] = bundles.at(clock.wallMs())
  t.notMatch(last, first, 'the old authority is trusted no more')
  t.equal(last.match(/BEGIN CERTIFICATE/g)?.length, 1)
  const done = await Promise.all(
    ['first', 'due', 'promote', 'prune', 'unusable', 'repair'].map(async step => {
      const counts = replicas.map(({ sample }) => sample('certificate_rotation_steps_total', { step }))
      return [step, (await Promise.all(counts)).reduce<number>((sum, count) => sum + (count ?? 0), 0)]
    }),
  )
  t.strictSame(Object.fromEntries(done), { first: 1, due: 1, promote: 1, prune: 1, unusable: 0, repair: 0 })
  for (const { pairs, source, sample } of replicas) {
    t.ok(pairs() >= 9 && pairs() <= 13, `${pairs()} leaves in three hours of leaves that live half an hour`)
    t.equal(source.ready(), true)
    t.equal(await sample('ca_bundle_in_sync'), 1)
    const notAfter = (await sample('certificate_not_after_timestamp_seconds', { role: 'leaf' })) ?? 0
    t.ok(notAfter * 1000 > clock.wallMs())
  }
})

t.test('replicas that race for the first authority converge to one', async t => {
  for (const count of [2, 3]) {
    const clock = createManualClock()
    const secrets = createMemorySecret()
    const bundles = createMemoryConfiguration(1, clock)
    const replicas = await Promise.all(
      Array.from({ length: count }, (_, seed) => startReplica(t, { secrets, bundles, clock, seed })),
    )
    await until(clock, () => replicas.every(({ source }) => source.ready() === true))
    t.ok(secrets.conflicts > 0, 'they did race')
    t.equal(secrets.writes, 1)
    const [bundle = ''] = bundles.at(clock.wallMs())
    for (const { port } of replicas) {
      const { certificate } = await shakeHands(port, { ca: bundle, servername })
      t.ok(trusts(bundle, certificate, clock.wallMs()))
    }
  }
})

t.test('a real client that trusts the published bundle alone never fails while the authority rotates', async t => {
  const nowMs = Date.now()
  const DAY_MS = 24 * 60 * MINUTE_MS
  const key = await pool()
  const pem = buildAuthority({
    key,
    serial: randomSerial(),
    notBeforeMs: nowMs - 70 * DAY_MS,
    notAfterMs: nowMs + 30 * DAY_MS,
  })
  const signing = authorityOf(pem, key)
  if (typeof signing === 'string') throw new Error(signing)
  const secrets = createMemorySecret(
    encodeAuthorities({ signing, next: undefined, retired: [], retiredAtMs: undefined }),
  )
  const wallMs = () => systemClock.wallMs()
  const bundles = createMemoryConfiguration(1, systemClock)
  bundles.overwrite([pem])
  const quick = { authorityLifeMs: DAY_MS, leafLifeMs: 3000, settleMs: 400, lookMs: 50 }
  const replicas = await Promise.all(
    [1, 2, 3].map(seed => startReplica(t, { secrets, bundles, clock: systemClock, seed, timing: quick })),
  )
  while (replicas.some(({ source }) => source.ready() !== true)) await systemClock.sleep(5)

  const problems: string[] = []
  const issuers = new Set<string>()
  const pruned = () => bundles.at(wallMs())[0]?.includes(pem) === false
  const endMs = nowMs + 15_000
  while (!pruned() && wallMs() < endMs) {
    await systemClock.sleep(20)
    for (const lagMs of [0, 200]) {
      const [ca = ''] = bundles.at(wallMs() - lagMs)
      if (ca === '') continue
      for (const { port } of replicas) {
        const { problem, certificate } = await shakeHands(port, { ca, servername })
        issuers.add(certificate?.issuer ?? '')
        if (problem !== undefined) problems.push(problem)
      }
    }
  }
  t.ok(pruned(), 'the old authority is gone')
  t.equal(issuers.size, 2)
  t.strictSame(problems, [])
  const [ca = ''] = bundles.at(wallMs())
  for (const { port } of replicas) {
    const { problem } = await shakeHands(port, { ca, servername })
    t.equal(problem, undefined)
  }
  t.ok(
    (await shakeHands(replicas[0]?.port ?? 0, { ca: pem, servername })).problem,
    'a client of the old one is refused',
  )
})

t.test('a broken or emptied Secret is mended without a failed handshake', async t => {
  const damages: [string, (data: Readonly<Record<string, string>>) => Record<string, string>][] = [
    ['emptied', () => ({})],
    ['garbage', () => ({ 'ca.crt': 'hello', 'ca.key': 'world' })],
    ['a key that belongs to another', data => ({ ...data, 'ca.key': decoyKey })],
    ['the key lost', data => ({ ...data, 'ca.key': '' })],
  ]
  const decoyKey = await pool()
  for (const [title, damage] of damages) {
    const clock = createManualClock()
    const secrets = createMemorySecret()
    const bundles = createMemoryConfiguration(1, clock)
    const replicas = await Promise.all([1, 2].map(seed => startReplica(t, { secrets, bundles, clock, seed })))
    await until(clock, () => replicas.every(({ source }) => source.ready() === true))
    await pass(clock, 6 * MINUTE_MS)
    const before = secrets.read()['ca.crt']
    secrets.overwrite(damage(secrets.read()))
    let failures = 0
    for (let minute = 0; minute < 45; minute++) {
      for (const lagMs of [0, MINUTE_MS]) {
        const [bundle = ''] = bundles.at(clock.wallMs() - lagMs)
        for (const { port } of replicas) {
          const { certificate } = await shakeHands(port, { ca: bundle, servername })
          if (!trusts(bundle, certificate, clock.wallMs())) failures++
        }
      }
      await pass(clock, MINUTE_MS)
    }
    t.equal(failures, 0, title)
    const { authorities, flaws } = decodeAuthorities(secrets.read())
    t.strictSame(flaws, [], title)
    t.ok(authorities.signing, title)
    t.not(authorities.signing?.pem, before, title)
    t.strictSame(authorities.retired, [], title)
  }
})

t.test('an authority that expired while nobody looked is replaced', async t => {
  const clock = createManualClock()
  const secrets = createMemorySecret()
  const bundles = createMemoryConfiguration(1, clock)
  const before = await startReplica(t, { secrets, bundles, clock, seed: 1 })
  await until(clock, () => before.source.ready() === true)
  await before.source.stop()
  clock.jumpWall(400 * MINUTE_MS)
  t.equal(before.source.ready(), 'the certificate has expired')

  const after = await startReplica(t, { secrets, bundles, clock, seed: 2 })
  await until(clock, () => after.source.ready() === true)
  const [bundle = ''] = bundles.at(clock.wallMs())
  const { certificate } = await shakeHands(after.port, { ca: bundle, servername })
  t.ok(trusts(bundle, certificate, clock.wallMs()))
})

t.test('a jump of the machine’s clock is noticed within a minute', async t => {
  const clock = createManualClock()
  const bundles = createMemoryConfiguration(1, clock)
  const replica = await startReplica(t, { secrets: createMemorySecret(), bundles, clock, seed: 1 })
  await until(clock, () => replica.source.ready() === true)
  clock.jumpWall(40 * MINUTE_MS)
  t.equal(replica.source.ready(), 'the certificate has expired')
  await pass(clock, MINUTE_MS)
  t.equal(replica.source.ready(), true)
  t.equal(replica.pairs(), 2)
})

t.test('a caBundle that somebody overwrites is put back, and the replica is not ready meanwhile', async t => {
  const clock = createManualClock()
  const bundles = createMemoryConfiguration(2, clock)
  const replica = await startReplica(t, { secrets: createMemorySecret(), bundles, clock, seed: 1 })
  await until(clock, () => replica.source.ready() === true)
  const good = bundles.at(clock.wallMs())
  bundles.overwrite([good[0] ?? '', 'somebody else’s'])
  await pass(clock, MINUTE_MS)
  t.strictSame(bundles.at(clock.wallMs()), good)
  t.equal(replica.source.ready(), true)
})

t.test('a Secret that may not be written keeps nobody from renewing a leaf', async t => {
  const clock = createManualClock()
  const secrets = createMemorySecret()
  const bundles = createMemoryConfiguration(1, clock)
  const replica = await startReplica(t, { secrets, bundles, clock, seed: 1 })
  await until(clock, () => replica.source.ready() === true)
  secrets.refusal = new Error('forbidden')
  await pass(clock, 150 * MINUTE_MS)
  t.equal(replica.source.ready(), true, 'past the time at which a successor is due')
  t.ok(replica.pairs() > 6)
  secrets.refusal = undefined
  await pass(clock, MINUTE_MS)
  t.ok(decodeAuthorities(secrets.read()).authorities.next, 'the successor comes late')
})
