import type { KubernetesClient } from '../../lib/kubernetes/client.ts'
import type { KubernetesEvent } from '../../lib/kubernetes/types.ts'
import { type Clock, withDeadline } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import type { Decision } from '../loop.ts'
import type { Alert } from '../model.ts'

/** Tells Kubernetes what `kubectl get events` should show. Never throws and never waits. */
export interface EventReporter {
  record(decision: Decision): void
  /** Something else that people should see; `reason` is a word in CamelCase. */
  tell(type: 'Normal' | 'Warning', reason: string, action: string, note: string): void
  /** Resolves when what was told so far has been sent or given up. */
  flush(): Promise<void>
}

export interface EventReporterDeps {
  kubernetes: Pick<KubernetesClient, 'createEvent'>
  /** What the events are about: the decider's own pod. */
  pod: { namespace: string; name: string }
  clock: Clock
  log: Log
}

type Word = Pick<KubernetesEvent, 'type' | 'reason' | 'action' | 'note'>

const DEADLINE_MS = 4000
/** After a burst one a minute: a pool that flaps must not fill the API server's store. */
const BURST = 25
const PER_MS = 1 / 60_000
const MAX_QUEUE = 25

/** Compares each decision with the pool's last one and tells what is new: switches, fences, wishes, alerts. */
export function createEventReporter({ kubernetes, pod, clock, log }: EventReporterDeps): EventReporter {
  const last = new Map<string, Said>()
  const queue: Word[] = []
  let tokens = BURST
  let countedMs = clock.monotonicMs()
  let sending: Promise<void> | undefined
  let failing = false

  function tell(word: Word): void {
    const nowMs = clock.monotonicMs()
    tokens = Math.min(BURST, tokens + (nowMs - countedMs) * PER_MS)
    countedMs = nowMs
    if (tokens < 1 || queue.length >= MAX_QUEUE) return
    tokens -= 1
    queue.push(word)
    sending ??= drain().finally(() => {
      sending = undefined
    })
  }

  async function drain(): Promise<void> {
    for (let word = queue.shift(); word; word = queue.shift()) await send(word)
  }

  async function send(word: Word): Promise<void> {
    const event: KubernetesEvent = {
      ...word,
      regarding: { apiVersion: 'v1', kind: 'Pod', ...pod },
      reportingController: 'gitlab-runner-hadr.io/decider',
      reportingInstance: pod.name,
    }
    try {
      await withDeadline(clock, DEADLINE_MS, signal => kubernetes.createEvent(event, signal))
      failing = false
    } catch (error) {
      if (!failing) log.warn({ err: error, reason: word.reason }, 'Kubernetes takes no events; going on without them')
      failing = true
    }
  }

  return {
    record(decision) {
      // Nothing is done then, and what people wish for cannot be seen.
      if (!decision.seen.gitlab.readable) return
      const said = sayingOf(decision)
      for (const word of wordsOf(decision, said, last.get(decision.pool))) tell(word)
      last.set(decision.pool, said)
    },
    tell: (type, reason, action, note) => tell({ type, reason, action, note }),
    flush: async () => {
      await sending
    },
  }
}

/** What is told once, when it begins. */
interface Said {
  pause: string
  pin: string
  alerts: Readonly<Record<string, Alert>>
}

function sayingOf({ plan, seen }: Decision): Said {
  const serverMs = seen.gitlab.readable ? seen.gitlab.serverMs : 0
  const { pause, pin } = plan.next.control ?? {}
  const paused = pause && serverMs < pause.untilMs
  const pinned = pin && serverMs < pin.untilMs
  return {
    pause: paused ? `paused by ${pause.by} until ${new Date(pause.untilMs).toISOString()}: ${pause.why}` : '',
    pin: pinned ? `pinned to ${pin.to} by ${pin.by} until ${new Date(pin.untilMs).toISOString()}: ${pin.why}` : '',
    alerts: Object.fromEntries(plan.alerts.map(alert => [alert.kind, alert])),
  }
}

function wordsOf(decision: Decision, said: Said, before: Said | undefined): Word[] {
  const { plan, deeds, pool } = decision
  const { step } = plan
  const words: Word[] = []
  const say = (type: Word['type'], reason: string, action: string, what: string) =>
    words.push({ type, reason, action, note: `Pool ${pool}: ${what}` })
  const written = (operation: string) =>
    deeds.filter(deed => deed.operation === operation && deed.result === 'done').length

  if (step.kind === 'promote' && written('add') > 0) say('Normal', 'Promoted', 'Promote', plan.explain)
  if (step.kind === 'demote' && written('remove') > 0) say('Normal', 'Demoted', 'Demote', plan.explain)
  if (step.kind === 'tend' && written('fence') > 0) {
    const dead = step.fence.map(({ cluster }) => cluster).join(', ')
    say(
      'Warning',
      'Fenced',
      'Fence',
      `the main tag was taken from ${written('fence')} runners of dead cluster ${dead}.`,
    )
  }
  if (said.pause !== (before?.pause ?? '')) {
    say('Normal', said.pause ? 'Paused' : 'Resumed', 'Obey', said.pause || 'resumed')
  }
  if (said.pin !== (before?.pin ?? '')) say('Normal', said.pin ? 'Pinned' : 'Unpinned', 'Obey', said.pin || 'unpinned')
  for (const [kind, alert] of Object.entries(said.alerts)) {
    if (before?.alerts[kind]) continue
    say('Warning', camelCase(kind), 'Observe', JSON.stringify(alert))
  }
  return words
}

/** `peer_decider_down` as Kubernetes writes reasons: `PeerDeciderDown`. */
function camelCase(kind: string): string {
  return kind.replace(/(^|_)([a-z])/g, (_match, _gap, letter: string) => letter.toUpperCase())
}
