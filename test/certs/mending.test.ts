import t from 'tap'
import { decodeAuthorities } from '../../certs/authorities.ts'
import { createMemoryConfiguration, createMemorySecret } from '../support/certificate-stores.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { MINUTE_MS, pass, pool, servername, startReplica, until } from '../support/replica.ts'
import { shakeHands, trusts } from '../support/tls.ts'

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
    for (let minute = 0; minute < 40; minute++) {
      await pass(clock, MINUTE_MS)
      // Closely while the new authority comes up and takes over, now and then while the old one is waited out.
      if (minute > 8 && minute % 5 !== 0) continue
      for (const lagMs of [0, MINUTE_MS]) {
        const [bundle = ''] = bundles.at(clock.wallMs() - lagMs)
        for (const { port } of replicas) {
          const { certificate } = await shakeHands(port, { ca: bundle, servername })
          if (!trusts(bundle, certificate, clock.wallMs())) failures++
        }
      }
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
