import { createHash } from 'node:crypto'
import t from 'tap'
import { readStatusPage } from '../../cli/status-page.ts'
import { contentSecurityPolicy } from '../../decider/status/page.ts'
import { startStatusServer } from '../support/status-page.ts'

const directives = (policy: string) =>
  new Map(policy.split('; ').map(text => [text.split(' ')[0], text.split(' ').slice(1)] as const))

t.test('the page comes with a policy that lets nothing run but itself', async t => {
  const { url } = await startStatusServer(t, () => {
    throw new Error('the page needs no status')
  })
  const answer = await fetch(url)
  const html = await answer.text()
  t.match(answer.headers.get('content-type'), 'text/html; charset=utf-8')
  t.match(answer.headers.get('x-content-type-options'), 'nosniff')
  t.match(answer.headers.get('referrer-policy'), 'no-referrer')
  t.match(answer.headers.get('x-frame-options'), 'DENY')
  t.match(answer.headers.get('cache-control'), 'no-store')

  const policy = directives(answer.headers.get('content-security-policy') ?? '')
  const quiet = ['default-src', 'base-uri', 'form-action', 'frame-ancestors']
  for (const name of quiet) t.strictSame(policy.get(name), ["'none'"], name)
  t.strictSame(policy.get('connect-src'), ["'self'"])
  t.notMatch([...policy.values()].flat().join(' '), /unsafe|https?:|\*/)
  for (const element of ['script', 'style']) {
    const inner = new RegExp(`<${element}>([^]*?)</${element}>`).exec(html)?.[1] ?? ''
    const hash = createHash('sha256').update(inner).digest('base64')
    t.strictSame(policy.get(`${element}-src`), [`'sha256-${hash}'`], element)
  }
  t.equal((await fetch(url, { method: 'POST' })).status, 405, 'read only')
})

t.test('the page is one file without outside resources, inline handlers or markup made of text', async t => {
  const html = await readStatusPage()
  t.notMatch(html, /\s(?:src|srcset|action|poster|data)\s*=/)
  t.notMatch(html, /\son\w+\s*=\s*["']/)
  t.notMatch(html, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser|import\(/)
  for (const [, target = ''] of html.matchAll(/\shref="([^"]*)"/g)) t.match(target, /^(?:#main|status|data:image\/svg)/)
  t.equal([...html.matchAll(/<script/g)].length, 1)
})

t.test('every script has its hash, line ends are as browsers see them, and a page without a script is refused', t => {
  const sha256 = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  t.match(
    contentSecurityPolicy('<style>a\r\nb</style><script>1</script><script>2</script>'),
    new RegExp(`script-src ${sha256('1')} ${sha256('2')}; style-src ${sha256('a\nb')};`.replaceAll(/[+/]/g, '\\$&')),
  )
  t.throws(() => contentSecurityPolicy('<style></style>'), /no <script>/)
  t.end()
})
