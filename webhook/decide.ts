import { inject, type Injection, type InjectOptions } from './inject.ts'
import { target, type TargetConfig, type TargetRequest } from './target.ts'

export interface DecideOptions extends InjectOptions, TargetConfig {}

/** The patch for a pod, or why it gets none: the one decision behind the webhook and `hadr inject`. */
export function decide(pod: unknown, request: TargetRequest, options: DecideOptions): Injection {
  const verdict = target(pod, request, options)
  return 'skip' in verdict ? verdict : inject(pod, options)
}
