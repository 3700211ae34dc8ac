import { createHash } from 'node:crypto'
import type { OpsAnswer } from '../../lib/service/ops-server.ts'

/**
 * `/`, the page for people; it shows what `/status` tells. One file without outside resources; its policy lets exactly
 * its own script and style run, so that text which slips into it as markup stays dead.
 */
export function statusPage(html: string): OpsAnswer {
  return {
    status: 200,
    body: html,
    contentType: 'text/html; charset=utf-8',
    headers: {
      'content-security-policy': contentSecurityPolicy(html),
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    },
  }
}

/** The policy for a page whose scripts and styles are all inline; each is allowed by its hash. */
export function contentSecurityPolicy(html: string): string {
  return [
    "default-src 'none'",
    `script-src ${hashes(html, 'script')}`,
    `style-src ${hashes(html, 'style')}`,
    "connect-src 'self'",
    // The tab's icon, which is part of the page.
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    // Where browsers know it, no text can be made markup at all.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ')
}

function hashes(html: string, element: 'script' | 'style'): string {
  // Browsers hash what they parsed, and parsing makes every line end a line feed.
  const text = html.replaceAll(/\r\n?/g, '\n')
  const found = [...text.matchAll(new RegExp(`<${element}>(.*?)</${element}>`, 'gs'))]
  if (found.length === 0) throw new Error(`the status page has no <${element}>`)
  return found.map(([, inner = '']) => `'sha256-${createHash('sha256').update(inner).digest('base64')}'`).join(' ')
}
