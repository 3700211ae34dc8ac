import { refusals } from '../answers.ts'
import type { Input } from '../input.ts'
import type { RunnerChanges } from '../runners.ts'

const CHANGEABLE = [
  'description',
  'active',
  'paused',
  'tag_list',
  'run_untagged',
  'locked',
  'access_level',
  'maximum_timeout',
  'maintenance_note',
]

/**
 * The attributes of a runner among the parameters. A PUT without any of them is refused; a creation (`all`) may leave
 * all of them out.
 */
export function readChanges(input: Input, options: { all?: boolean } = {}): RunnerChanges {
  if (!options.all && !CHANGEABLE.some(name => input.has(name))) {
    throw refusals.parameter(`${CHANGEABLE.join(', ')} are missing, at least one parameter must be provided`)
  }
  if (input.has('active') && input.has('paused')) throw refusals.parameter('active, paused are mutually exclusive')
  const active = input.boolean('active')
  const paused = active === undefined ? input.boolean('paused') : !active
  const description = input.string('description')
  const tags = input.list('tag_list')
  const runUntagged = input.boolean('run_untagged')
  const locked = input.boolean('locked')
  const accessLevel = input.oneOf('access_level', ['not_protected', 'ref_protected'])
  const maximumTimeoutSeconds = input.integer('maximum_timeout')
  const maintenanceNote = input.string('maintenance_note')
  return {
    ...(description !== undefined && { description }),
    ...(paused !== undefined && { paused }),
    ...(tags !== undefined && { tags }),
    ...(runUntagged !== undefined && { runUntagged }),
    ...(locked !== undefined && { locked }),
    ...(accessLevel !== undefined && { accessLevel }),
    ...(input.has('maximum_timeout') && { maximumTimeoutSeconds: maximumTimeoutSeconds ?? null }),
    ...(maintenanceNote !== undefined && { maintenanceNote }),
  }
}
