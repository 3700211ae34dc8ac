import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { buildAuthority, buildLeaf, serviceNames } from '../../certs/build.ts'
import { generateRsaKey, randomSerial } from '../../certs/keys.ts'
import { verifyPair } from '../../lib/tls/serving-pair.ts'
import { hasOpenssl } from '../support/tls.ts'

const HOUR_MS = 3_600_000
const names = serviceNames('hadr-webhook', 'hadr-system')
const nowMs = Date.now()
const validity = { notBeforeMs: nowMs - 300_000, notAfterMs: nowMs + HOUR_MS }

const authorityKey = await generateRsaKey()
const leafKey = await generateRsaKey()
const authority = buildAuthority({ key: authorityKey, serial: randomSerial(), ...validity })
const issuer = { certificate: authority, key: authorityKey }
const leaf = buildLeaf({ key: leafKey, serial: randomSerial(), names, issuer, ...validity })

const withOpenssl = hasOpenssl() ? {} : { skip: 'there is no openssl program here' }
t.test('openssl accepts the chain under its strict rules, for a server, under each of its names', withOpenssl, t => {
  const folder = t.testdir({ 'ca.pem': authority, 'leaf.pem': leaf })
  const verify = (name: string) =>
    execFileSync('openssl', [
      ...['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', name],
      ...['-CAfile', join(folder, 'ca.pem'), join(folder, 'leaf.pem')],
    ]).toString()
  for (const name of names) t.match(verify(name), /leaf\.pem: OK/)
  t.throws(() => execFileSync('openssl', ['verify', join(folder, 'leaf.pem')], { stdio: 'pipe' }))
  t.end()
})

t.test(
  'an authority and its leaf have names, random positive serials and the extensions that Go, OpenSSL and Node ask for',
  t => {
    const [root, end] = [new X509Certificate(authority), new X509Certificate(leaf)]
    t.ok(root.ca && root.checkIssued(root) && root.verify(root.publicKey))
    t.notOk(end.ca)
    t.ok(end.checkIssued(root) && end.verify(root.publicKey))
    t.not(root.subject, end.subject)
    t.match(root.subject, 'CN=')
    t.match(end.subject, 'CN=')
    t.equal(end.issuer, root.subject)
    t.strictSame(end.keyUsage, ['1.3.6.1.5.5.7.3.1'])
    t.equal(end.subjectAltName, names.map(name => `DNS:${name}`).join(', '))
    t.strictSame(names, [
      'hadr-webhook',
      'hadr-webhook.hadr-system',
      'hadr-webhook.hadr-system.svc',
      'hadr-webhook.hadr-system.svc.cluster.local',
    ])
    t.equal(Date.parse(end.validFrom), Math.floor(validity.notBeforeMs / 1000) * 1000)
    t.end()
  },
)

t.test('serial numbers are positive, at least 64 bits long and never repeat', t => {
  const serials = Array.from({ length: 1000 }, randomSerial)
  t.equal(new Set(serials).size, 1000)
  t.ok(serials.every(serial => /^[4-7][0-9a-f]{31}$/.test(serial)))
  t.end()
})

t.test('a name longer than a common name may be is covered', t => {
  const long = serviceNames('w'.repeat(63), 'n'.repeat(63))
  const certificate = buildLeaf({ key: leafKey, serial: randomSerial(), names: long, issuer, ...validity })
  t.match(verifyPair({ certificate, key: leafKey }, { nowMs, names: long, authorities: [authority] }), { good: true })
  t.end()
})

t.test('the event loop turns while keys are made', async t => {
  let turns = 0
  let done = false
  const count = () => {
    turns++
    if (!done) setImmediate(count)
  }
  setImmediate(count)
  await Promise.all([generateRsaKey(), generateRsaKey(), generateRsaKey()])
  done = true
  t.ok(turns > 100, `${turns} turns`)
})

t.test('a pair is refused with the rule that it breaks', async t => {
  const otherKey = await generateRsaKey()
  const other = buildAuthority({ key: otherKey, serial: randomSerial(), ...validity })
  const good = { certificate: leaf, key: leafKey }
  const cases: [string, Parameters<typeof verifyPair>, RegExp][] = [
    ['no certificate', [{ ...good, certificate: 'hello' }, { nowMs }], /no certificate/],
    ['a cut certificate', [{ ...good, certificate: leaf.slice(0, 400) }, { nowMs }], /no certificate/],
    ['no key', [{ ...good, key: '' }, { nowMs }], /private key cannot be parsed/],
    ["another's key", [{ ...good, key: otherKey }, { nowMs }], /does not belong/],
    ['expired', [good, { nowMs: nowMs + 2 * HOUR_MS }], /expired at 20/],
    ['not valid yet', [good, { nowMs: nowMs - HOUR_MS }], /not valid before 20/],
    ['another name', [good, { nowMs, names: ['elsewhere.svc'] }], /does not cover elsewhere\.svc/],
    ['another authority', [good, { nowMs, authorities: [other] }], /trusted authority/],
    ['no names at all', [{ certificate: other, key: otherKey }, { nowMs }], /no subjectAltName/],
    ['a chain out of order', [{ ...good, certificate: leaf + other }, { nowMs }], /not issued by the one that follows/],
  ]
  for (const [title, [pair, rules], rule] of cases) {
    const verdict = verifyPair(pair, rules)
    t.match(verdict, { good: false, problem: rule }, title)
    t.notMatch(JSON.stringify(verdict), 'PRIVATE KEY')
  }
  t.match(verifyPair({ ...good, certificate: leaf + authority }, { nowMs, names, authorities: [authority] }), {
    good: true,
  })
})
