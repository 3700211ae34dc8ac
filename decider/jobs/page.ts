import { createHash } from 'node:crypto'
import type { OpsAnswer } from '../../lib/service/ops-server.ts'
import type { ContainerFacts, JobMetrics, QueryResult } from './document.ts'
import { markup, Markup } from './markup.ts'
import { plotOf, shown, STROKES } from './plot.ts'

const STYLE = `
:root{color-scheme:light dark;--ink:#1f1e24;--soft:#626168;--line:#bfbfc3;--paper:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#ececef;--soft:#a4a3a8;--line:#535158;--paper:#18171d}}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:var(--ink);background:var(--paper)}
h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem}
p,li,td,th{overflow-wrap:anywhere}.soft{color:var(--soft)}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2rem .6rem .2rem 0;border-bottom:1px solid var(--line)}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
svg{display:block;width:100%;height:auto}svg text{fill:var(--soft);font-size:12px}
svg .axis{stroke:var(--line)}svg .limit{stroke:#c91c00;stroke-dasharray:6 4}
${STROKES.map((colour, index) => `.s${index}{stroke:${colour};fill:${colour}}`).join('')}polyline{fill:none!important;stroke-width:2}
.key{display:inline-block;width:.8rem;height:.8rem;margin-right:.4rem}
`

const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  // The tab's icon, which is part of the page.
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** A page about one job: no script, no outside resource; whatever users wrote stands there as text. */
export function jobPage(metrics: JobMetrics): OpsAnswer {
  const { job, pod, window, containers, queries, warnings } = metrics
  const title = `Job ${job.id}`
  const list = warnings.map(warning => markup`<li><bdi>${warning}</bdi></li>`)
  const page = markup`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
<link rel="icon" href="data:,">
<style>${new Markup(STYLE)}</style></head><body><main>
<h1>${title}${job.name === null ? '' : markup`: <bdi>${job.name}</bdi>`}</h1>
<p class="soft">Project ${job.projectId}${job.ref === null ? '' : markup`, ref <bdi>${job.ref}</bdi>`} · cluster ${metrics.cluster} ·
pod <bdi>${pod.namespace}/${pod.name}</bdi> · ${timeOf(window.start)} to ${timeOf(window.end)} UTC${metrics.partial ? ' · partial' : ''}</p>
${list.length === 0 ? '' : markup`<h2>Warnings</h2><ul>${list}</ul>`}
<h2>Containers</h2>
<table><thead><tr><th scope="col">Container</th><th scope="col" class="number">CPU limit</th>
<th scope="col" class="number">Memory limit</th><th scope="col" class="number">Restarts</th><th scope="col">Ended</th></tr></thead>
<tbody>${containers.map(containerRow)}</tbody></table>
${queries.map(query => section(query, metrics))}
</main></body></html>
`
  return {
    status: 200,
    body: page.text,
    contentType: 'text/html; charset=utf-8',
    headers: {
      'content-security-policy': POLICY,
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    },
  }
}

function containerRow({ name, limits, restarts, oomKilled, exitCode }: ContainerFacts): Markup {
  const ended = oomKilled ? 'killed for want of memory' : exitCode === null ? 'not seen' : `exit code ${exitCode}`
  return markup`<tr><th scope="row"><bdi>${name}</bdi></th><td class="number">${shown(limits.cpuCores)}</td>
<td class="number">${shown(limits.memoryBytes)}</td><td class="number">${restarts}</td><td>${ended}</td></tr>`
}

function section(query: QueryResult, metrics: JobMetrics): Markup {
  const { name, unit, series, outcome } = query
  const heading = markup`<h2>${name.replaceAll('_', ' ')}${unit === '' ? '' : markup` <span class="soft">(<bdi>${unit}</bdi>)</span>`}</h2>`
  if (series.length === 0) return markup`${heading}<p class="soft">Nothing: ${outcome}</p>`
  const rows = series.map(({ labels, summary }, index) => {
    const name = markup`<th scope="row"><svg class="key" viewBox="0 0 8 8" aria-hidden="true"><rect width="8" height="8" class="s${index % STROKES.length}"/></svg><bdi>${nameOf(labels)}</bdi></th>`
    if (summary.kind === 'insufficient') return markup`<tr>${name}<td colspan="6">too few samples</td></tr>`
    const { max, mean, p95, min, integral, coverage } = summary
    const cells = [max, p95, mean, min, integral].map(value => markup`<td class="number">${shown(value)}</td>`)
    return markup`<tr>${name}${cells}<td class="number">${Math.round(coverage * 100)} %</td></tr>`
  })
  const heads = ['Maximum', '95 %', 'Mean', 'Minimum', 'Sum', 'Coverage'].map(
    head => markup`<th scope="col" class="number">${head}</th>`,
  )
  return markup`${heading}${plotOf(query, metrics)}
<table><thead><tr><th scope="col">Series</th>${heads}</tr></thead><tbody>${rows}</tbody></table>`
}

function nameOf(labels: Readonly<Record<string, string>>): string {
  return Object.values(labels).join(', ') || 'all'
}

/** `2026-01-01T10:20:30.456Z` for people. */
function timeOf(iso: string): string {
  return iso.slice(0, 19).replace('T', ' ')
}
