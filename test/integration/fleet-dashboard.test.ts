import { join } from 'node:path'
import t from 'tap'
import { createFleetStage } from '../../cli/demo/fleet/fleet-stage.ts'
import { MAIN_TAG } from '../../cli/demo/stage-options.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import { startPrometheusProcess } from '../../simulator/prometheus/process.ts'
import { panelQueries, substitute, variableQueries } from '../support/dashboards.ts'
import { requirePrometheus } from '../support/prometheus.ts'
import { until } from '../support/until.ts'
import { buildPrograms } from '../support/programs.ts'

t.test('every panel of the fleet’s dashboard shows data of a fleet that works', { timeout: 240_000 }, async t => {
  if (!(await requirePrometheus(t))) return
  const folder = t.testdir()
  const programs = join(folder, 'dist')
  await buildPrograms(programs)
  const stage = await createFleetStage({
    timeScale: 0.1,
    clusters: ['a'],
    runnersPerCluster: 1,
    realPrometheus: true,
    programs,
    folder: join(folder, 'stage'),
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    signal: new AbortController().signal,
  })
  t.teardown(() => stage.close())
  const prometheus = await startPrometheusProcess({
    clock: systemClock,
    folder: join(folder, 'prometheus'),
    scrapeConfigs: [
      { job_name: 'gitlab-runner-hadr-decider', static_configs: [{ targets: [new URL(stage.deciderUrl).host] }] },
    ],
    scrapeIntervalMs: 2000,
  })
  t.teardown(() => prometheus.close())
  const labelsOf = async (expr: string) => {
    const answer = await fetch(`${prometheus.url}/api/v1/query?query=${encodeURIComponent(substitute(expr))}`)
    const { data, error } = (await answer.json()) as {
      data?: { result: { metric: Record<string, string>; value: [number, string] }[] }
      error?: string
    }
    if (!data) throw new Error(`${expr}: ${error ?? 'no answer'}`)
    const known = data.result.filter(({ value }) => Number.isFinite(Number(value[1])))
    return known.length === 0 ? undefined : new Set(known.flatMap(({ metric }) => Object.keys(metric)))
  }
  for (let count = 0; count < 4; count++)
    stage.gitlab.state.addJob({ project: stage.ciProjectId, tags: [MAIN_TAG], durationMs: 60_000 })

  const wanted = [
    ...panelQueries(['fleet']),
    ...variableQueries(['fleet']).map(each => ({ ...each, legendLabels: [] as string[] })),
  ]
  const found = new Map<string, Set<string>>()
  await until('data for every query', 150_000, async () => {
    for (const { where, expr } of wanted.filter(each => !found.has(each.where))) {
      const labels = await labelsOf(expr)
      if (labels) found.set(where, labels)
    }
    return found.size === wanted.length
  }).catch(() => undefined)
  for (const { where, expr, legendLabels } of wanted) {
    const labels = found.get(where)
    t.ok(labels, `${where} has data: ${expr}`)
    for (const label of legendLabels)
      t.ok(labels?.has(label), `${where}: the legend's ${label} is a label of its series`)
  }
})
