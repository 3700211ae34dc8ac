import type { Resources } from '../../webhook/config.ts'
import { parseQuantity } from '../../webhook/quantity.ts'
import { failed, ok, type Verdict } from './check.ts'
import { fieldOf, isObject, listOf, textOf } from './json.ts'

const nameOf = (object: unknown) => textOf(fieldOf(object, 'metadata'), 'name') ?? ''

/** How the keys of a quota name what a sidecar asks for; `cpu` and `memory` are requests. */
const QUOTA_KEYS = {
  cpu: ['requests', 'cpu'],
  memory: ['requests', 'memory'],
  'requests.cpu': ['requests', 'cpu'],
  'requests.memory': ['requests', 'memory'],
  'limits.cpu': ['limits', 'cpu'],
  'limits.memory': ['limits', 'memory'],
} as const

/** Whether the quotas leave room for `pods` more sidecars; a quota refuses the whole pod, not the sidecar. Pure. */
export function judgeQuota(quotas: readonly unknown[], resources: Resources, pods: number): Verdict {
  const short: string[] = []
  for (const quota of quotas) {
    const hard = fieldOf(fieldOf(quota, 'status'), 'hard') ?? fieldOf(fieldOf(quota, 'spec'), 'hard')
    const used = fieldOf(fieldOf(quota, 'status'), 'used')
    for (const [key, [kind, resource]] of Object.entries(QUOTA_KEYS)) {
      const limit = parseQuantity(fieldOf(hard, key))
      if (limit === undefined) continue
      const left = limit - (parseQuantity(fieldOf(used, key)) ?? 0)
      const each = parseQuantity(resources[kind][resource]) ?? 0
      if (each * pods > left) {
        short.push(
          `quota ${nameOf(quota)} leaves ${shown(left, resource)} of ${key}, ${pods} sidecars need ${shown(each * pods, resource)}`,
        )
      }
    }
  }
  if (short.length === 0) return ok(quotas.length === 0 ? 'there is no quota' : `room for ${pods} sidecars`)
  return failed(
    short.join('; '),
    'Raise the quota, or ask for less in sidecar.resources: a runner pod that does not fit is refused with its sidecar.',
  )
}

/** Whether a LimitRange refuses a container with the sidecar's resources. Pure. */
export function judgeLimitRanges(ranges: readonly unknown[], resources: Resources): Verdict {
  const problems: string[] = []
  for (const range of ranges) {
    for (const limit of listOf(fieldOf(range, 'spec'), 'limits')) {
      if (textOf(limit, 'type') !== 'Container') continue
      for (const resource of ['cpu', 'memory'] as const) {
        const request = parseQuantity(resources.requests[resource]) ?? 0
        const most = parseQuantity(resources.limits[resource]) ?? 0
        const bound = (name: string) => parseQuantity(fieldOf(fieldOf(limit, name), resource))
        const [max, min, ratio] = [bound('max'), bound('min'), bound('maxLimitRequestRatio')]
        const where = `LimitRange ${nameOf(range)}`
        if (max !== undefined && most > max) {
          problems.push(
            `${where} allows at most ${shown(max, resource)} of ${resource}, the sidecar's limit is ${resources.limits[resource]}`,
          )
        }
        if (min !== undefined && request < min) {
          problems.push(
            `${where} wants at least ${shown(min, resource)} of ${resource}, the sidecar requests ${resources.requests[resource]}`,
          )
        }
        if (ratio !== undefined && (request === 0 || most / request > ratio)) {
          problems.push(`${where} wants limits of at most ${ratio} times the requests of ${resource}`)
        }
      }
    }
  }
  if (problems.length === 0)
    return ok(ranges.length === 0 ? 'there is no LimitRange' : 'the sidecar is within the LimitRanges')
  return failed(problems.join('; '), 'Change sidecar.resources in the webhook’s configuration, or the LimitRange.')
}

function shown(amount: number, resource: 'cpu' | 'memory'): string {
  if (resource === 'cpu') return `${Math.round(amount * 1000)}m`
  return amount % 2 ** 20 === 0 ? `${amount / 2 ** 20}Mi` : `${amount} bytes`
}

/** Whether an object has a container of that name, native sidecars included. */
export function hasContainer(pod: unknown, name: string): boolean {
  const spec = fieldOf(pod, 'spec')
  const all = [...listOf(spec, 'containers'), ...listOf(spec, 'initContainers')]
  return all.some(container => isObject(container) && container['name'] === name)
}
