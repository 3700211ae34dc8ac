import type { JobMetrics, JobPoint } from '../../decider/jobs/document.ts'
import { summarize } from '../../decider/jobs/summary.ts'

const START = 1_767_225_600

/** A finished job of 60 s with two containers, and a query that came back empty. */
export function documentOf(changes: Partial<JobMetrics> = {}): JobMetrics {
  const window = { startSeconds: START, endSeconds: START + 60, stepSeconds: 10 }
  const series = (labels: Record<string, string>, values: readonly number[], integrate = false) => {
    const points = values.map((value, index): JobPoint => [START + index * 10, value])
    return { labels, points, summary: summarize(points, { window, integrate }) }
  }
  const facts = { init: false, requests: {}, limits: {}, restarts: 0, oomKilled: false, exitCode: 0 }
  return {
    schema: 1,
    cluster: 'a',
    job: { id: 42, projectId: 7, name: 'unit tests 1/3', ref: 'main', sha: null, url: null },
    pod: { namespace: 'ci', name: 'runner-x-project-7-concurrent-0-abcdefgh', uid: 'uid-1', node: 'node-1' },
    window: {
      start: new Date(START * 1000).toISOString(),
      end: new Date((START + 60) * 1000).toISOString(),
      stepSeconds: 10,
    },
    partial: false,
    collectedAt: new Date((START + 100) * 1000).toISOString(),
    containers: [
      { ...facts, name: 'build', limits: { cpuCores: 2, memoryBytes: 1024 }, oomKilled: true, exitCode: 137 },
      { ...facts, name: 'helper' },
    ],
    queries: [
      {
        name: 'cpu',
        unit: 'cores',
        query: 'a',
        outcome: 'complete',
        series: [
          series({ container: 'build' }, [0, 1, 1.23456, 1, 1, 0.5, 0], true),
          series({ container: 'helper' }, [0.1]),
        ],
      },
      {
        name: 'memory',
        unit: 'bytes',
        query: 'b',
        outcome: 'complete',
        series: [series({ container: 'build' }, [1, 123_456_789, 3])],
      },
      { name: 'disk_read', unit: 'bytes/s', query: 'c', outcome: 'empty', series: [] },
    ],
    warnings: ['disk_read: Prometheus knows no such series of this pod'],
    ...changes,
  }
}
