import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

export const RULES_FILE = 'manifests/prometheus/rules.yaml'

export interface AlertRule {
  alert: string
  expr: string
  for?: string
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
}

export function alertRules(): AlertRule[] {
  const { groups } = parse(readFileSync(RULES_FILE, 'utf8')) as { groups: { rules: AlertRule[] }[] }
  return groups.flatMap(group => group.rules)
}

/** The names of metrics in a PromQL expression: words that are neither functions nor keywords nor labels. */
export function metricsIn(expression: string): string[] {
  const bare = expression
    .replace(/"(?:[^"\\]|\\.)*"/g, '""')
    .replace(/\{[^}]*\}/g, ' ')
    .replace(/\[[^\]]*\]/g, ' ')
    .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ')
  const found = [...bare.matchAll(/\b[a-z_:][\w:]*\b(?!\s*\()/gi)].map(([word]) => word)
  return [...new Set(found.filter(word => !KEYWORDS.has(word)))]
}

const KEYWORDS = new Set(['and', 'or', 'unless', 'bool', 'on', 'by'])
