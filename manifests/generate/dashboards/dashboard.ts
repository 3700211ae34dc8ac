import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  type DashboardLink,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DATASOURCE } from './panels.ts'

/** Links the dashboards with each other. */
const TAG = 'gitlab-runner-hadr'

export interface Section {
  title: string
  panels: readonly { id(id: number): { build(): Panel } }[]
}

export interface DashboardOptions {
  /** Stable, so that links and bookmarks survive an update. */
  uid: string
  title: string
  description: string
  variables: readonly { name: string; label: string; query: string }[]
  /** The first one stands at the top, without a title. */
  sections: readonly Section[]
  from: string
}

/** Grafana's own order: variables, then panels in lines of 24 columns, each section under its title. */
export function dashboard({ uid, title, description, variables, sections, from }: DashboardOptions): Dashboard {
  const built = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .editable()
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from, to: 'now' })
    .refresh('30s')
    .link({ build: linkToOthers })
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
  for (const { name, label, query } of variables) {
    built.withVariable(
      new QueryVariableBuilder(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({ query, refId: 'variable' })
        .definition(query)
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .sort(VariableSort.AlphabeticalAsc)
        .multi(true)
        .includeAll(true)
        .allValue('.*')
        .current({ text: 'All', value: '$__all' }),
    )
  }
  let id = 0
  for (const [index, section] of sections.entries()) {
    if (index > 0) built.withRow(new RowBuilder(section.title).id(++id))
    for (const panel of section.panels) built.withPanel(panel.id(++id))
  }
  return built.build()
}

/** Beside the variables, where people see it; the library would put it into a menu. */
function linkToOthers(): DashboardLink {
  const link = new DashboardLinkBuilder('gitlab-runner-hadr')
    .type(DashboardLinkType.Dashboards)
    .tags([TAG])
    .keepTime(true)
    .includeVars(true)
    .build()
  delete link.placement
  return link
}
