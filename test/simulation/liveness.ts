import { type World, MAIN_TAG } from './world.ts'

/** Why a world has not converged to exactly one living cluster that holds on all its runners; undefined: it has. */
export function convergence(world: World): string | undefined {
  const holders = [...world.holders()]
  const [only] = holders
  if (only === undefined) return 'nobody holds the main tag'
  if (holders.length > 1) return `${holders.join(' and ')} hold the main tag`
  const { deadSinceMs } = world.site(only)
  if (deadSinceMs !== undefined) return `${only} holds the main tag, but is dead`
  const lacking = world.gitlab.state
    .runners()
    .filter(runner => world.clusterOf(runner) === only && !runner.tags.includes(MAIN_TAG))
  if (lacking.length > 0) return `runners ${lacking.map(({ id }) => id).join(', ')} of ${only} lack the main tag`
  return undefined
}

/** Why the one holder is not strong enough to keep the main tag; undefined: nobody is clearly stronger. */
export function settledBest(world: World): string | undefined {
  const [holder] = world.holders()
  if (holder === undefined) return 'nobody holds the main tag'
  const { strength, margin } = world.plan
  const scoreOf = (name: string) => {
    const { fleet, deadSinceMs } = world.site(name)
    const able = deadSinceMs === undefined ? fleet.able() : 0
    return strength === 'count' ? able : Math.floor((100 * able) / Math.max(1, fleet.present().length))
  }
  const mine = scoreOf(holder)
  const needed = mine + Math.max(margin, Math.ceil(mine * 0.2))
  const better = world.sites.find(({ name }) => name !== holder && scoreOf(name) >= needed)
  return better && `${better.name} with ${scoreOf(better.name)} is clearly stronger than ${holder} with ${mine}`
}
