import fc from 'fast-check'
import t from 'tap'
import type { Authorities, Authority } from '../../certs/authorities.ts'
import { plan, shownAuthorities, type Leaf, type StoredPlan } from '../../certs/plan.ts'
import type { Certificate } from '../../lib/tls/pem.ts'
import { createRandom } from '../support/random.ts'

/**
 * The rotation as replicas play it together, without cryptography: each look is two reads and then the writes, with
 * others in between; writes may fail, replicas may start anew, people may damage the Secret.
 */

const MINUTE_MS = 60_000
// People may damage the Secret until a leaf expires whose successor nobody trusts yet; no rotation can mend that. So the last
// third of a leaf's life, in which it is renewed, is longer than three authorities take to settle.
const config = { leafLifeMs: 60 * MINUTE_MS, settleMs: 5 * MINUTE_MS }
const AUTHORITY_LIFE_MS = 240 * MINUTE_MS
const LAG_MS = MINUTE_MS

interface Replica {
  leaf: Leaf | undefined
  shownSinceMs: Map<string, number>
  configuration: { text: string; version: number } | undefined
  secret: { authorities: Authorities; version: number } | undefined
  ready: boolean
}

/** How often per step; a step is 7 s on average. */
interface Mishaps {
  writeFails: number
  restart: number
  /** Three at most, once all replicas have settled. */
  damage: number
}

const nothing: Authorities = { signing: undefined, next: undefined, retired: [], retiredAtMs: undefined }
const fresh = (): Replica => ({
  leaf: undefined,
  shownSinceMs: new Map(),
  configuration: undefined,
  secret: undefined,
  ready: false,
})

/**
 * Plays twenty hours, five lives of an authority, and answers with each moment at which a client that lags behind would have
 * refused a ready replica.
 */
function play(seed: number, mishaps: Mishaps) {
  const random = createRandom(seed)
  const replicas = [fresh(), fresh(), fresh()]
  const known = new Map<string, Certificate>()
  let nowMs = 0
  let secret = { authorities: nothing, version: 1 }
  let damages = 0
  let firstReadyMs = Number.POSITIVE_INFINITY
  const history = [{ sinceMs: Number.NEGATIVE_INFINITY, text: '' }]
  const refused: string[] = []
  const taken: string[] = []

  const certificatesOf = (text: string) => text.split('\n').flatMap(name => known.get(name) ?? [])
  const newAuthority = (): Authority => {
    const name = `authority-${known.size + 1}`
    const made = {
      pem: `${name}\n`,
      fingerprint: name,
      key: '',
      notBeforeMs: nowMs,
      notAfterMs: nowMs + AUTHORITY_LIFE_MS,
    }
    known.set(name, made)
    return made
  }
  const fill = ({ signing, next, ...rest }: StoredPlan): Authorities => ({
    signing: signing === 'new' ? newAuthority() : signing,
    next: next === 'new' ? newAuthority() : next,
    ...rest,
  })

  const readConfiguration = (replica: Replica) => {
    const text = history.at(-1)?.text ?? ''
    const shown = shownAuthorities([{ text, certificates: certificatesOf(text) }])
    for (const name of replica.shownSinceMs.keys()) if (!shown.includes(name)) replica.shownSinceMs.delete(name)
    for (const name of shown) if (!replica.shownSinceMs.has(name)) replica.shownSinceMs.set(name, nowMs)
    replica.configuration = { text, version: history.length }
    replica.ready = replica.leaf !== undefined && shown.includes(replica.leaf.issuer)
    if (replica.ready) firstReadyMs = Math.min(firstReadyMs, nowMs)
  }

  const act = (replica: Replica, writesFail: boolean) => {
    const { configuration, secret: seen, leaf } = replica
    if (configuration === undefined || seen === undefined) return
    replica.configuration = replica.secret = undefined
    const published = [{ text: configuration.text, certificates: certificatesOf(configuration.text) }]
    const shownForMs = new Map([...replica.shownSinceMs].map(([name, sinceMs]) => [name, nowMs - sinceMs]))
    for (const action of plan({ authorities: seen.authorities, published, shownForMs, leaf }, nowMs, config)) {
      if (action.do === 'issue') {
        const { fingerprint: issuer, notAfterMs } = action.issuer
        const endMs = Math.min(nowMs + config.leafLifeMs, notAfterMs)
        const renewAtMs = nowMs + ((endMs - nowMs) * 2) / 3
        replica.leaf = { issuer, notBeforeMs: nowMs, notAfterMs: endMs, renewAtMs }
      } else if (writesFail) continue
      else if (action.do === 'publish') {
        if (configuration.version === history.length) history.push({ sinceMs: nowMs, text: action.bundle })
      } else {
        if (seen.version === secret.version) {
          taken.push(action.why)
          secret = { authorities: fill(action.content), version: secret.version + 1 }
        }
        return
      }
    }
  }

  const check = () => {
    // An API server that has not heard yet of the first caBundle knows of no webhook either.
    if (nowMs < firstReadyMs + LAG_MS) return
    for (const [index, { leaf, ready }] of replicas.entries()) {
      // What is not ready, be it for an expired leaf, is called by nobody.
      if (leaf === undefined || !ready || nowMs >= leaf.notAfterMs) continue
      for (const lagMs of [0, LAG_MS]) {
        const text = history.findLast(({ sinceMs }) => sinceMs <= nowMs - lagMs)?.text ?? ''
        if (!certificatesOf(text).some(({ fingerprint }) => fingerprint === leaf.issuer))
          refused.push(
            `minute ${nowMs / MINUTE_MS}: replica ${index} serves ${leaf.issuer}, lag ${lagMs} ms trusts ${text}`,
          )
      }
    }
  }

  for (let step = 0; step < 10_000; step++) {
    nowMs += random() * 14_000
    const index = Math.floor(random() * replicas.length)
    const replica = replicas[index]
    if (replica === undefined) continue
    if (random() < mishaps.restart) replicas[index] = fresh()
    else if (random() < mishaps.damage && nowMs > 20 * MINUTE_MS && damages < 3) {
      damages++
      secret = { authorities: nothing, version: secret.version + 1 }
    } else if (replica.configuration === undefined) readConfiguration(replica)
    else if (replica.secret === undefined) replica.secret = secret
    else act(replica, random() < mishaps.writeFails)
    check()
  }
  return { refused, taken }
}

/** Many seeds; a failure names its seed and the first refusal. */
function explore(mishaps: Mishaps): Set<string> {
  const taken = new Set<string>()
  fc.assert(
    fc.property(fc.nat(), seed => {
      const played = play(seed, mishaps)
      for (const why of played.taken) taken.add(why)
      if (played.refused[0] !== undefined) throw new Error(played.refused[0])
    }),
    { numRuns: 40 },
  )
  return taken
}

t.test(
  'whatever the order of looks, failures and restarts, a client that lags 60 s never refuses a ready replica',
  t => {
    const taken = explore({ writeFails: 0.2, restart: 0.003, damage: 0 })
    t.strictSame([...taken].sort(), ['due', 'first', 'promote', 'prune'])
    t.end()
  },
)

t.test('nor when people empty the Secret while the replicas run', t => {
  const taken = explore({ writeFails: 0.2, restart: 0, damage: 0.003 })
  t.strictSame([...taken].sort(), ['due', 'first', 'promote', 'prune', 'unusable'])
  t.end()
})
