import type { Alert } from '../model.ts'
import type { ClusterReport, PoolReport } from './report.ts'

/** A cycle takes seconds; one that is this late hangs. */
const LATE_AFTER_MS = 60_000

/** What is wrong, in one sentence for people. */
export interface Problem {
  /** `critical`: jobs wait, or soon will. `warning`: they run, but somebody should look. */
  level: 'critical' | 'warning'
  text: string
}

export const VERDICTS = ['ok', 'degraded', 'nobody'] as const
export type Verdict = (typeof VERDICTS)[number]

/** What the sentences rest on. */
export interface Facts extends Pick<PoolReport, 'mainTag' | 'clusters' | 'holders' | 'alerts'> {
  /** When the decider last looked, and now. */
  atMs: number
  nowMs: number
  /** Why GitLab could not be read; undefined: it could. */
  gitlabWhy: string | undefined
  /** Why the own capacity is not known; undefined: it is, or nobody asked. */
  ownWhy: string | undefined
}

/** Everything that is wrong with a pool, the worst first. */
export function problemsOf(facts: Facts): Problem[] {
  const { nowMs, atMs, gitlabWhy, ownWhy, clusters, alerts } = facts
  const texts: string[] = []
  if (nowMs - atMs > LATE_AFTER_MS) {
    texts.push(`This decider has not looked for ${Math.round((nowMs - atMs) / 1000)} s; see its log.`)
  }
  if (gitlabWhy !== undefined) {
    const shown = clusters.length > 0 ? ' What is shown is what was read last.' : ''
    texts.push(`GitLab cannot be read (${gitlabWhy}). Nothing moves until it can.${shown}`)
  }
  texts.push(...alerts.map(alert => alertText(alert, facts.mainTag)))
  if (ownWhy !== undefined) texts.push(`How many runners this cluster has is not known (${ownWhy}).`)
  const serving = servingProblems(facts)
  const warnings = [...serving.warnings, ...texts, ...standbyProblems(clusters)]
  return [
    ...serving.critical.map(text => ({ level: 'critical' as const, text })),
    ...warnings.map(text => ({ level: 'warning' as const, text })),
  ]
}

/** `nobody`: GitLab was read and no unpaused runner carries the main tag. */
export function verdictOf({ clusters, holders }: Pick<Facts, 'clusters' | 'holders'>, problems: number): Verdict {
  if (clusters.length > 0 && holders.length === 0) return 'nobody'
  return problems > 0 ? 'degraded' : 'ok'
}

function servingProblems({ mainTag, clusters, holders }: Facts): { critical: string[]; warnings: string[] } {
  if (clusters.length === 0) return { critical: [], warnings: [] }
  if (holders.length === 0) return { critical: [`No runner carries ${mainTag}, so its jobs wait.`], warnings: [] }
  const holding = clusters.filter(cluster => cluster.holding > 0)
  const weak = holding
    .filter(cluster => !cluster.effective)
    .map(cluster => `Cluster ${cluster.name} carries ${mainTag}, but ${weakness(cluster)}.`)
  const many =
    holding.length > 1
      ? [`Clusters ${list(holders)} carry ${mainTag} at once; normal for a moment while it moves.`]
      : []
  return weak.length === holding.length
    ? { critical: weak, warnings: many }
    : { critical: [], warnings: [...many, ...weak] }
}

function weakness({ presence, live, active, score }: ClusterReport): string {
  if (presence === 'absent') return 'its decider has never been heard of'
  if (presence === 'unknown') return 'its status file cannot be read'
  if (!live) return 'nobody there answers'
  if (score < 1) return 'none of its runners can take jobs'
  return active ? 'it is not seen serving' : 'it does not claim to serve'
}

/** The next death of a cluster is survived only if another one can take over. */
function standbyProblems(clusters: readonly ClusterReport[]): string[] {
  const others = clusters.filter(cluster => cluster.holding === 0)
  if (others.length === 0 || others.length === clusters.length) return []
  if (others.some(cluster => cluster.live && cluster.presence === 'known' && cluster.score >= 1)) return []
  const reasons = others.map(cluster => `${cluster.name}: ${unfitness(cluster)}`)
  return [`No other cluster could take over now (${reasons.join('; ')}).`]
}

function unfitness({ presence, live }: ClusterReport): string {
  if (presence === 'absent') return 'its decider has never been heard of'
  if (presence === 'unknown') return 'its status file cannot be read'
  return live ? 'no runner can take jobs' : 'silent'
}

function alertText(alert: Alert, mainTag: string): string {
  switch (alert.kind) {
    case 'config_mismatch':
      return `This pool is configured otherwise in cluster ${list(alert.clusters)}; nothing moves until all agree.`
    case 'foreign_main_tag':
      return `A runner of no cluster carries ${mainTag}: ${list(alert.runnerIds.map(String))}. It is left alone.`
    case 'unreadable_file':
      return `The status file of cluster ${alert.cluster} cannot be understood (${alert.why}).`
    case 'unreadable_control':
      return `control.json cannot be understood (${alert.why}); the last wishes that could be read still count.`
    case 'peer_decider_down':
      return `The decider of cluster ${alert.cluster} is silent, though its runners live.`
    case 'pin_refused':
      return `The pin to cluster ${alert.to} is not obeyed: ${alert.why}.`
    case 'cannot_publish':
      return `This decider could not publish its status for ${Math.round(alert.forMs / 1000)} s, so it moves nothing.`
  }
}

function list(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1) ?? ''}`
}
