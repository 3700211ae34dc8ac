import fc from 'fast-check'
import t from 'tap'
import {
  UNAVAILABLE_REASONS,
  UNKNOWN_REASONS,
  availability,
  describeAvailability,
  podAvailability,
  type Availability,
  type RunnerFacts,
} from '../../sidecar/availability.ts'
import { PROCESS_STATES } from '../../sidecar/runner.ts'

const untold: RunnerFacts = {
  terminating: false,
  endpoint: 'answering',
  contact: 'good',
  paused: false,
  identity: 'known',
  gitlabAnswers: true,
}
const well: RunnerFacts = { ...untold, process: 'running' }
/** What the supported choice of no token looks like. */
const alone: RunnerFacts = { ...well, paused: undefined, identity: 'unsettled', gitlabAnswers: undefined }

const cases: readonly [name: string, facts: RunnerFacts, is: string][] = [
  ['a running runner with contact that is not paused is available', well, 'available'],
  ['local facts alone make it available', alone, 'available'],
  ['an old runner that does not tell its state is taken for running', untold, 'available'],
  ['a GitLab that does not answer vetoes nothing', { ...well, paused: undefined, gitlabAnswers: false }, 'available'],
  ['a pod that was told to stop takes no more jobs', { ...well, terminating: true }, 'shutting_down'],
  ['a gracefully stopping runner takes no more jobs', { ...well, process: 'graceful-shutdown' }, 'shutting_down'],
  ['a forcefully stopping runner takes no more jobs', { ...well, process: 'forceful-shutdown' }, 'shutting_down'],
  ['a paused runner takes no jobs', { ...well, paused: true }, 'paused'],
  [
    'a paused runner stays paused while its metrics are unreadable',
    { ...well, endpoint: 'unreadable', paused: true },
    'paused',
  ],
  ['a runner whose port is closed after it was open is gone', { ...alone, endpoint: 'gone' }, 'runner_gone'],
  ['unreadable metrics leave it unknown', { ...well, endpoint: 'unreadable' }, 'runner_unreadable'],
  [
    'a refused runner takes no jobs, even when GitLab hides it',
    { ...well, contact: 'refused', identity: 'missing' },
    'refused',
  ],
  ['a refusal needs no other proof that GitLab is up', { ...alone, contact: 'refused' }, 'refused'],
  ['a runner that GitLab does not have is unknown, not offline', { ...well, identity: 'missing' }, 'runner_not_found'],
  ['a starting runner is not judged yet', { ...well, process: 'starting', contact: 'never' }, 'runner_starting'],
  ['a runner that was not seen to succeed yet is unknown', { ...well, contact: 'never' }, 'no_contact_yet'],
  ['a stale contact without a cause is unknown', { ...well, contact: 'stale' }, 'contact_stale'],
  [
    'a stale contact while GitLab is away is unknown for that cause',
    { ...well, contact: 'stale', gitlabAnswers: false },
    'gitlab_unreachable',
  ],
  ['a stale contact without a token is unknown', { ...alone, contact: 'stale' }, 'contact_stale'],
  ['a tripped circuit breaker counts when GitLab is known to be up', { ...well, contact: 'broken' }, 'circuit_open'],
  [
    'a tripped circuit breaker is a doubt while GitLab is away',
    { ...well, contact: 'broken', gitlabAnswers: false },
    'gitlab_unreachable',
  ],
  ['a tripped circuit breaker is a doubt without a token', { ...alone, contact: 'broken' }, 'contact_stale'],
]
for (const [name, facts, is] of cases) {
  t.test(name, t => {
    const verdict = availability(facts)
    t.equal(verdict.state === 'available' ? 'available' : verdict.reason, is)
    t.end()
  })
}

const anyFacts: fc.Arbitrary<RunnerFacts> = fc.record(
  {
    terminating: fc.boolean(),
    endpoint: fc.constantFrom('answering', 'gone', 'unreadable'),
    process: fc.constantFrom(...PROCESS_STATES),
    contact: fc.constantFrom('never', 'good', 'stale', 'refused', 'broken'),
    paused: fc.constantFrom(true, false, undefined),
    identity: fc.constantFrom('known', 'missing', 'unsettled'),
    gitlabAnswers: fc.constantFrom(true, false, undefined),
  },
  { requiredKeys: ['terminating', 'endpoint', 'contact', 'paused', 'identity', 'gitlabAnswers'] },
)

t.test('every combination of facts has a verdict, with a reason of its own kind', t => {
  fc.assert(
    fc.property(anyFacts, facts => {
      const verdict = availability(facts)
      if (verdict.state === 'available') return true
      return verdict.reason in (verdict.state === 'unavailable' ? UNAVAILABLE_REASONS : UNKNOWN_REASONS)
    }),
    { numRuns: 3_000 },
  )
  t.end()
})

t.test('only a seen success makes available, and only evidence makes unavailable', t => {
  fc.assert(
    fc.property(anyFacts, facts => {
      const { state } = availability(facts)
      if (state === 'available') return facts.contact === 'good' && facts.endpoint === 'answering' && !facts.paused
      if (state === 'unknown') return true
      return (
        facts.terminating ||
        facts.paused === true ||
        facts.endpoint === 'gone' ||
        facts.process?.endsWith('shutdown') === true ||
        facts.contact === 'refused' ||
        (facts.contact === 'broken' && facts.gitlabAnswers === true)
      )
    }),
    { numRuns: 3_000 },
  )
  t.end()
})

t.test('learning less of GitLab never turns a verdict into unavailable', t => {
  fc.assert(
    fc.property(anyFacts, facts => {
      const blind = availability({ ...facts, paused: undefined, gitlabAnswers: undefined, identity: 'unsettled' })
      return blind.state !== 'unavailable' || availability(facts).state === 'unavailable'
    }),
  )
  t.end()
})

const yes: Availability = { state: 'available' }
const no: Availability = { state: 'unavailable', reason: 'paused' }
const perhaps: Availability = { state: 'unknown', reason: 'no_contact_yet' }

t.test('one available entry makes the pod available', t => {
  t.equal(podAvailability([no, perhaps, yes], no), yes)
  t.end()
})
t.test('one entry in doubt forbids a no', t => {
  t.equal(podAvailability([no, perhaps], yes), perhaps)
  t.end()
})
t.test('entries that all say no make the pod unavailable', t => {
  t.equal(podAvailability([no, no], yes), no)
  t.end()
})
t.test('a pod without entries has the verdict for that', t => {
  t.equal(podAvailability([], perhaps), perhaps)
  t.end()
})

t.test('a verdict is said in one sentence with its reason', t => {
  t.equal(describeAvailability(yes), 'available')
  t.equal(describeAvailability(no), 'unavailable: paused: the runner is paused in GitLab')
  t.equal(describeAvailability(perhaps), 'unknown: no_contact_yet: no successful job request was seen yet')
  t.end()
})
