import { formatDuration } from './duration.ts'
import type { ClusterLine, Overview, PoolOverview, Wish } from './overview.ts'

/** The overview as text for a terminal. What people wrote is shown without control characters. */
export function formatOverview(overview: Overview): string {
  if (overview.pools.length === 0) {
    return 'No decider has published anything yet: there is no branch hadr/<cluster> that speaks of such a pool.\n'
  }
  return overview.pools.map(pool => formatPool(pool, Date.parse(overview.at))).join('\n')
}

/** One line that says all at a glance, for a log. */
export function formatLine({ at, pools, verdict }: Overview): string {
  const parts = pools.map(({ pool, holder, clusters }) => {
    const strengths = clusters.map(line => `${line.cluster} ${strength(line)}`).join(', ')
    return `${pool}: ${holder ?? 'nobody'} (${strengths})`
  })
  return `${at.slice(11, 19)} ${verdict} ${parts.join('; ')}\n`
}

function formatPool(pool: PoolOverview, nowMs: number): string {
  const head = `${pool.pool}: ${pool.holder === null ? 'NOBODY holds the main tag' : `cluster ${pool.holder} holds the main tag`} (${pool.verdict})`
  const banners = [
    ...(pool.pause ? [`paused ${wishText(pool.pause, nowMs)}`] : []),
    ...(pool.pin ? [`pinned to ${pool.pin.to} ${wishText(pool.pin, nowMs)}${pool.pin.force ? ' [force]' : ''}`] : []),
  ]
  const rows = [
    ['CLUSTER', 'ACTIVE', 'AVAILABLE', 'TAGGED', 'HEARTBEAT', 'EPOCH', 'STATE'],
    ...pool.clusters.map(line => [
      plain(line.cluster),
      line.active ? 'yes' : 'no',
      strength(line),
      line.tagged ? `${line.tagged.carrying}/${line.tagged.runners}` : '-',
      `${formatDuration(line.heartbeatAgeSeconds * 1000)}${line.silent ? ' silent' : ''}`,
      line.epoch === null ? '-' : String(line.epoch),
      plain(line.problem ?? line.state ?? '-'),
    ]),
  ]
  const last = pool.switches.map(({ at, epoch, cluster, cause, why }) =>
    plain(
      `  ${at?.slice(0, 19).replace('T', ' ') ?? 'unknown time'}  epoch ${epoch} to ${cluster} (${cause ?? 'unknown'}): ${why ?? ''}`,
    ),
  )
  return [
    head,
    ...banners.map(banner => `  ${plain(banner)}`),
    ...pool.because.map(reason => `  ! ${plain(reason)}`),
    ...columns(rows).map(row => `  ${row}`),
    ...(last.length > 0 ? ['  last switches:', ...last] : []),
    '',
  ].join('\n')
}

function strength({ available, total }: Pick<ClusterLine, 'available' | 'total'>): string {
  return `${available ?? '?'}/${total ?? '?'}`
}

function wishText({ until, by, why }: Wish, nowMs: number): string {
  const reason = why === '' ? '' : `: ${why}`
  return `for ${formatDuration(Date.parse(until) - nowMs)} more (until ${until.slice(0, 19)}Z) by ${by}${reason}`
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map(row => (row[at] ?? '').length)))
  return rows.map(row =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** A terminal obeys control characters, whoever wrote them. */
function plain(text: string): string {
  return text.replace(/\p{C}+/gu, ' ')
}
