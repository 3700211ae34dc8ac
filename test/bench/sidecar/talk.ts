import { systemClock } from '../../../lib/service/clock.ts'
import type { PartOptions } from '../options.ts'
import { startCountingProxy } from '../proxy.ts'
import { READER, startScene } from './scene.ts'

export const FLEETS = [10, 100, 1000] as const

/** What one pod asks of GitLab in a minute, and what its sidecar costs. */
export interface Talk {
  fleet: number
  requestsPerMinute: number
  bytesPerMinute: number
  /** The same for the original: twelve full lists per minute. */
  listingRequestsPerMinute: number
  listingBytesPerMinute: number
  cpuSecondsPerHour: number
  anonymousMiB: number
}

/** Of the sidecar's intervals: a minute passes in three seconds. */
const TIME_SCALE = 0.05
const MINUTE_MS = 60_000 * TIME_SCALE
const SCRAPE_MS = 15_000 * TIME_SCALE
/** Until it has found its runner. */
const SETTLE_MINUTES = 2
const LISTS_PER_MINUTE = 12
const PER_PAGE = 100

export async function measureTalk(fleet: number, minutes: number, { programs, folder }: PartOptions): Promise<Talk> {
  const scene = await startScene({ programs, folder, fleet, timeScale: TIME_SCALE })
  try {
    const calls = () => scene.gitlab.state.count({ caller: 'token:sidecar' })
    await scrapeFor(scene.url, SETTLE_MINUTES * MINUTE_MS)
    const before = { calls: calls(), bytes: scene.proxy.bytes(), cpuMs: scene.sidecar.cpuMs() }
    await scrapeFor(scene.url, minutes * MINUTE_MS)
    const text = await (await fetch(scene.url)).text()
    if (!/^gitlab_runner_hadr_sidecar_online_status\{[^}]*\} 1$/m.test(text))
      throw new Error(`the sidecar does not know its runner: ${text}`)
    const per = (value: number) => value / minutes
    const after = { calls: calls(), bytes: scene.proxy.bytes(), cpuMs: scene.sidecar.cpuMs() }
    const { anonymousMiB } = scene.sidecar.memory()
    const listing = await listOnce(scene.gitlab.url)
    return {
      fleet,
      requestsPerMinute: per(after.calls - before.calls),
      bytesPerMinute: per(after.bytes - before.bytes),
      listingRequestsPerMinute: LISTS_PER_MINUTE * listing.requests,
      listingBytesPerMinute: LISTS_PER_MINUTE * listing.bytes,
      cpuSecondsPerHour: (per(after.cpuMs - before.cpuMs) * 60) / 1000,
      anonymousMiB,
    }
  } finally {
    await scene.stop()
  }
}

async function scrapeFor(url: string, ms: number): Promise<void> {
  const endMs = systemClock.monotonicMs() + ms
  while (systemClock.monotonicMs() < endMs) {
    await (await fetch(url)).text()
    await systemClock.sleep(Math.min(SCRAPE_MS, Math.max(0, endMs - systemClock.monotonicMs())))
  }
}

/** One full list of the group's runners, page by page. */
async function listOnce(gitlabUrl: string): Promise<{ requests: number; bytes: number }> {
  const proxy = await startCountingProxy(gitlabUrl)
  try {
    let requests = 0
    for (let page = '1'; page !== ''; requests++) {
      const answer = await fetch(`${proxy.url}/api/v4/groups/33/runners?per_page=${PER_PAGE}&page=${page}`, {
        headers: { 'private-token': READER },
      })
      if (!answer.ok) throw new Error(`GitLab answers ${answer.status}`)
      await answer.text()
      page = answer.headers.get('x-next-page') ?? ''
    }
    return { requests, bytes: proxy.bytes() }
  } finally {
    await proxy.close()
  }
}
