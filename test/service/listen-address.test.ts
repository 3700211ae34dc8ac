import t from 'tap'
import { formatListenAddress, parseListenAddress } from '../../lib/service/listen-address.ts'

t.test('an address is read and written back', t => {
  for (const [text, address, back = text] of [
    [':8080', { port: 8080 }],
    ['9999', { port: 9999 }, ':9999'],
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['localhost:65535', { host: 'localhost', port: 65_535 }],
    ['[::1]:80', { host: '::1', port: 80 }],
  ] as const) {
    t.same(parseListenAddress(text), address, text)
    t.equal(formatListenAddress(address), back)
  }
  t.end()
})

t.test('anything else is none', t => {
  for (const text of ['', ':', 'x', ':x', ':65536', '::1:80', '[::1]', 'a b:1', '-1', ':-1', 'http://x:80']) {
    t.equal(parseListenAddress(text), undefined, text)
  }
  t.end()
})
