import fc from 'fast-check'
import { Registry } from 'prom-client'
import t from 'tap'
import type { Availability } from '../../sidecar/availability.ts'
import { CHECKS, registerSidecarMetrics, type Check, type Snapshot } from '../../sidecar/metrics.ts'
import { parseExposition } from '../../sidecar/exposition.ts'

const place = { podName: 'pod "1"', podNamespace: 'runners', podIp: '', groupId: 'top/group' }

async function expose(snapshot: Snapshot): Promise<string> {
  const registry = new Registry()
  registerSidecarMetrics(registry, place, () => snapshot)
  return registry.metrics()
}

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined })
const checkNames = Object.keys(CHECKS) as Check[]
const availableAs = { available: 1, unavailable: 0, unknown: undefined }
const anySnapshot: fc.Arbitrary<Snapshot> = fc.record({
  online: maybe(fc.boolean()),
  total: maybe(fc.nat()),
  verdict: fc.constantFrom<Availability>(
    { state: 'available' },
    { state: 'unavailable', reason: 'paused' },
    { state: 'unknown', reason: 'runner_starting' },
  ),
  runningJobs: maybe(fc.nat()),
  uptimeSeconds: fc.double({ min: 0, max: 1e9, noNaN: true }),
  statusRequests: fc.record({ success: fc.nat(), failed: fc.nat() }),
  ports: maybe(fc.record({ used: fc.nat(), total: fc.nat() })),
  checks: fc.dictionary(fc.constantFrom(...checkNames), maybe(fc.boolean())),
  runners: fc.array(fc.record({ runnerId: fc.nat(), systemId: fc.string() }), { maxLength: 3 }),
  lastContactSeconds: maybe(fc.nat()),
  gitlabLastSuccessSeconds: maybe(fc.nat()),
})

t.test('a value that is unknown has no sample, a known one has its value, and NaN never shows', async () => {
  await fc.assert(
    fc.asyncProperty(anySnapshot, async snapshot => {
      const text = await expose(snapshot)
      const valueOf = (name: string): number | undefined => {
        const parsed = parseExposition(text, new Set([name]))
        return parsed.ok ? parsed.samples[0]?.value : NaN
      }
      const asNumber = (value: number | boolean | undefined) => (value === undefined ? undefined : Number(value))
      return (
        !/\bnan$/im.test(text) &&
        valueOf('gitlab_runner_hadr_sidecar_available') === availableAs[snapshot.verdict.state] &&
        valueOf('gitlab_runner_hadr_sidecar_verdict_info') === 1 &&
        valueOf('gitlab_runner_hadr_sidecar_running_jobs') === snapshot.runningJobs &&
        valueOf('gitlab_runner_hadr_sidecar_online_status') === asNumber(snapshot.online) &&
        valueOf('gitlab_runner_hadr_sidecar_total_runners_available') === snapshot.total &&
        valueOf('gitlab_runner_hadr_sidecar_last_contact_timestamp_seconds') === snapshot.lastContactSeconds &&
        valueOf('gitlab_runner_hadr_sidecar_gitlab_last_success_timestamp_seconds') ===
          snapshot.gitlabLastSuccessSeconds &&
        valueOf('port_used') === snapshot.ports?.used &&
        valueOf('port_total') === snapshot.ports?.total
      )
    }),
  )
})

const nothing: Snapshot = {
  online: undefined,
  total: undefined,
  verdict: { state: 'unknown', reason: 'no_contact_yet' },
  runningJobs: undefined,
  uptimeSeconds: 0,
  statusRequests: { success: 0, failed: 0 },
  ports: undefined,
  checks: {},
  runners: [],
  lastContactSeconds: undefined,
  gitlabLastSuccessSeconds: undefined,
}

t.test('a value that becomes unknown vanishes from the next scrape', async t => {
  const registry = new Registry()
  let snapshot: Snapshot = {
    ...nothing,
    verdict: { state: 'available' },
    runningJobs: 2,
    lastContactSeconds: 7,
    checks: { contact: true },
  }
  registerSidecarMetrics(registry, place, () => snapshot)
  const first = await registry.metrics()
  t.match(first, /^gitlab_runner_hadr_sidecar_available\{.*\} 1$/m)
  t.match(first, /^gitlab_runner_hadr_sidecar_last_contact_timestamp_seconds 7$/m)
  snapshot = nothing
  const samples = (await registry.metrics()).split('\n').filter(line => line !== '' && !line.startsWith('#'))
  t.same(samples, [
    'gitlab_runner_hadr_uptime_seconds{pod_ip="",pod_name="pod \\"1\\"",pod_namespace="runners"} 0',
    'gitlab_runner_hadr_sidecar_verdict_info{pod_name="pod \\"1\\"",pod_namespace="runners",verdict="unknown",reason="no_contact_yet"} 1',
  ])
})

t.test('a number that is none is not exposed either', async t => {
  const text = await expose({ ...nothing, total: NaN, lastContactSeconds: Infinity })
  t.notMatch(text, /^gitlab_runner_hadr_sidecar_(total_runners|last_contact)/m)
  t.notMatch(text, /(nan|inf)$/im)
})

t.test('each status of requests appears with its first request', async t => {
  const text = await expose({ ...nothing, statusRequests: { success: 3, failed: 1 } })
  t.match(text, /pod_namespace="runners",status="success"\} 3\n/)
  t.match(text, /pod_namespace="runners",status="failed"\} 1\n/)
  t.notMatch(await expose(nothing), /status="/)
})
