import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { freePorts } from '../../../cli/demo/process.ts'
import { NODE_FLAGS } from '../../../cli/launch.ts'
import { systemClock } from '../../../lib/service/clock.ts'
import { startGitLab } from '../../../simulator/gitlab/server.ts'
import { vectorOf } from '../../simulation/figures/resident-memory.ts'
import { scrape, type Samples } from '../../support/scrape.ts'
import type { PartOptions } from '../options.ts'
import { startMeasured, untilReady, type Memory } from '../process.ts'
import { startCountingProxy } from '../proxy.ts'

const TOKEN = 'glpat-a'
/** Of the decider's intervals: an hour passes in three minutes. */
const TIME_SCALE = 0.05
/** Until its tags are written and nothing changes any more. */
const SETTLE_MS = 6 * 60_000 * TIME_SCALE

/** A decider at rest. */
export interface Rest {
  /** Runners of its cluster. */
  runners: number
  /** A cycle: observe, decide, act. */
  cycleMs: number
  callsPerHour: number
  bytesPerHour: number
  memory: Memory
}

/** A real decider, alone with one pool of `runners` runners, for `minutes` of its own time. */
export async function observeDecider(
  runners: number,
  minutes: number,
  { programs, folder }: Pick<PartOptions, 'programs' | 'folder'>,
): Promise<Rest> {
  const gitlab = await startGitLab()
  const { state } = gitlab
  state.addGroup({ id: 33, fullPath: 'ci' })
  state.addProject({ id: 101, fullPath: 'ci/hadr', group: 33 })
  state.addToken({ token: TOKEN, name: 'a', scopes: ['api'], groups: { 33: 'owner' } })
  state.protect({ project: 101, branch: 'hadr/a', pushTokens: [TOKEN], allowForce: true })
  const tags = ['runner-a', 'rnd-runner', 'docker']
  const ids = Array.from({ length: runners }, () => state.addRunner({ tags, group: 33 }).id)
  const prometheus = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(vectorOf(ids)))
  })
  prometheus.listen(0, '127.0.0.1')
  await once(prometheus, 'listening')
  const proxy = await startCountingProxy(gitlab.url)
  const [port = 0] = await freePorts(1)
  const config = join(folder, `decider-${runners}.json`)
  const url = `http://127.0.0.1:${(prometheus.address() as AddressInfo).port}`
  await writeFile(
    config,
    JSON.stringify({
      cluster: 'a',
      gitlab: { url: proxy.url, group: 33, project: 101 },
      prometheus: { url },
      timeScale: TIME_SCALE,
      pools: [{ mainTag: 'rnd-runner', clusters: ['a', 'b'].map(name => ({ name, tag: `runner-${name}` })) }],
    }),
  )
  const decider = startMeasured({
    name: 'decider',
    args: [
      ...(NODE_FLAGS['decider'] ?? []),
      join(programs, 'decider.cjs'),
      ...['--config', config, '--no-lease', '--listen', `127.0.0.1:${port}`],
    ],
    env: { HADR_GITLAB_TOKEN: TOKEN },
    logFile: join(folder, `decider-${runners}.log`),
  })
  const opsUrl = `http://127.0.0.1:${port}`
  const look = async () => ({
    cycles: cyclesOf(await scrape(opsUrl)),
    calls: state.count({ caller: 'token:a' }),
    bytes: proxy.bytes(),
  })
  try {
    await untilReady(decider, async () => (await fetch(`${opsUrl}/readyz`)).ok)
    await systemClock.sleep(SETTLE_MS)
    const before = await look()
    await systemClock.sleep(minutes * 60_000 * TIME_SCALE)
    const after = await look()
    const perHour = 60 / minutes
    const count = after.cycles.count - before.cycles.count
    if (count === 0) throw new Error(`the decider made no cycle: ${decider.output()}`)
    return {
      runners,
      cycleMs: ((after.cycles.seconds - before.cycles.seconds) * 1000) / count,
      callsPerHour: (after.calls - before.calls) * perHour,
      bytesPerHour: (after.bytes - before.bytes) * perHour,
      memory: decider.memory(),
    }
  } finally {
    await decider.stop()
    prometheus.closeAllConnections()
    prometheus.close()
    await proxy.close()
    await gitlab.close()
  }
}

function cyclesOf(samples: Samples): { count: number; seconds: number } {
  const of = (suffix: string) =>
    samples.get(`gitlab_runner_hadr_decider_cycle_seconds_${suffix}{pool="rnd-runner"}`) ?? 0
  return { count: of('count'), seconds: of('sum') }
}
