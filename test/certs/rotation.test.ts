import t from 'tap'
import { authorityOf, encodeAuthorities } from '../../certs/authorities.ts'
import { buildAuthority } from '../../certs/build.ts'
import { randomSerial } from '../../certs/keys.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { createMemoryConfiguration, createMemorySecret } from '../support/certificate-stores.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { MINUTE_MS, pass, pool, servername, startReplica, until } from '../support/replica.ts'
import { shakeHands, trusts } from '../support/tls.ts'

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
