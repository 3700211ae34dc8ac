import { readFileSync } from 'node:fs'

export const DASHBOARDS = ['overview', 'runners', 'webhook', 'fleet'] as const
type Name = (typeof DASHBOARDS)[number]

export interface PanelQuery {
  /** Dashboard, panel and query, for people. */
  where: string
  /** As it is written, with Grafana's variables. */
  expr: string
  /** Labels that the legend names. */
  legendLabels: readonly string[]
}

export interface DashboardFile {
  title: string
  uid: string
  panels: Panel[]
  templating: { list: { name: string; type: string; query: unknown }[] }
}

export interface Panel {
  id: number
  type: string
  title: string
  description?: string
  gridPos: { x: number; y: number; w: number; h: number }
  datasource?: { type: string; uid: string }
  targets?: { refId: string; expr: string; legendFormat?: string }[]
}

export function readDashboard(name: Name): DashboardFile {
  return JSON.parse(readFileSync(`manifests/grafana/${name}.json`, 'utf8')) as DashboardFile
}

/** Every query of every panel. */
export function panelQueries(names: readonly Name[] = DASHBOARDS): PanelQuery[] {
  return names.flatMap(name =>
    readDashboard(name).panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ refId, expr, legendFormat = '' }) => ({
        where: `${name} / ${title} / ${refId}`,
        expr,
        legendLabels: [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label),
      })),
    ),
  )
}

/** The query of a variable that Grafana fills from label values, as one that Prometheus itself understands. */
export function variableQueries(names: readonly Name[] = DASHBOARDS): { where: string; expr: string }[] {
  return names.flatMap(name =>
    readDashboard(name)
      .templating.list.filter(({ type }) => type === 'query')
      .map(variable => {
        const { query } = variable.query as { query: string }
        const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(query) ?? []
        if (metric === undefined || label === undefined) throw new Error(`not understood: ${query}`)
        return { where: `${name} / $${variable.name}`, expr: `count by (${label}) (${metric}{${label}!=""})` }
      }),
  )
}

/** What Grafana puts in for its variables with everything selected, in a short window. */
export function substitute(expr: string): string {
  const values: Record<string, string> = { pool: '.*', namespace: '.*', __range: '5m', __rate_interval: '15s' }
  return expr.replace(/\$(\w+)/g, (whole, name: string) => values[name] ?? whole)
}
