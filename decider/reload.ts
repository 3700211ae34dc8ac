import type { Clock } from '../lib/service/clock.ts'
import { formatMistakes } from '../lib/service/config.ts'
import type { Log } from '../lib/service/log.ts'
import type { Decider } from './app.ts'
import { readDeciderConfig } from './config.ts'

export interface ReloadDeps {
  /** The file's text now. */
  read: () => Promise<string>
  /** The text that the decider started with. */
  text: string
  /** For people: the file's name. */
  name: string
  decider: Pick<Decider, 'reconfigure' | 'metrics'>
  clock: Clock
  log: Log
}

/** kubelet itself takes up to a minute or two to bring a changed ConfigMap; this adds little. */
const LOOK_EVERY_MS = 5000

/**
 * Looks at the configuration's content every few seconds until `signal` aborts, so that it does not matter how the file is
 * replaced: Kubernetes swaps a symbolic link, editors rename. What cannot be used changes nothing, is told once, and is
 * given up as soon as the file holds something else.
 */
export async function watchConfig(deps: ReloadDeps, signal: AbortSignal): Promise<void> {
  const { clock, log, decider, name } = deps
  let last = deps.text
  decider.metrics.reloaded(true, clock.wallMs())
  for (;;) {
    try {
      await clock.sleep(LOOK_EVERY_MS, signal)
    } catch {
      return
    }
    // In the middle of a swap the file is gone for an instant; the next look finds it.
    const text = await deps.read().catch(() => last)
    if (text === last) continue
    last = text
    const problem = apply(text)
    decider.metrics.reloaded(problem === undefined, clock.wallMs())
    if (problem === undefined) log.info({ file: name }, 'the changed configuration is in use')
    else log.error({ file: name, problem }, 'the changed configuration is refused; the one before stays in use')
  }

  function apply(text: string): string | undefined {
    const result = readDeciderConfig(text)
    if (!result.ok) return formatMistakes(result.mistakes, name)
    const keys = decider.reconfigure(result.config)
    return keys.length === 0 ? undefined : `${keys.join(', ')} can be changed by a restart only`
  }
}
