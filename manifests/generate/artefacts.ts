import { format, resolveConfig } from 'prettier'
import { configurationPage } from '../../docs/generate/configuration-page.ts'
import { metricsPage } from '../../docs/generate/metrics-page.ts'
import { fleet } from './dashboards/fleet.ts'
import { overview } from './dashboards/overview.ts'
import { runners } from './dashboards/runners.ts'
import { webhook } from './dashboards/webhook.ts'
import { prometheusRule } from './prometheus-rule.ts'

const json = (value: unknown) => JSON.stringify(value)

const ARTEFACTS: Readonly<Record<string, () => string>> = {
  'docs/configuration.md': configurationPage,
  'docs/metrics.md': metricsPage,
  'manifests/prometheus/prometheus-rule.yaml': prometheusRule,
  'manifests/grafana/overview.json': () => json(overview()),
  'manifests/grafana/fleet.json': () => json(fleet()),
  'manifests/grafana/runners.json': () => json(runners()),
  'manifests/grafana/webhook.json': () => json(webhook()),
}

/** Every generated file: its path from the root, and its text in the project's layout. */
export async function artefacts(): Promise<Map<string, string>> {
  const made = Object.entries(ARTEFACTS).map(async ([filepath, make]) => {
    const options = await resolveConfig(filepath)
    return [filepath, await format(make(), { ...options, filepath })] as const
  })
  return new Map(await Promise.all(made))
}
