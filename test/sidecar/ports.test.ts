import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { readPorts } from '../../sidecar/ports.ts'
import { PROC_ROOT } from './world.ts'

const RANGE = { ipv4: { ip_local_port_range: '32768\t60999\n' } }
const HEADER = '  sl  local_address rem_address   st\n'

t.test('a port counts once, in every state, over both families', async t => {
  t.same(await readPorts(PROC_ROOT), { used: 6, total: 28_232 })
})

t.test('a kernel without IPv6 has one table', async t => {
  const row = '   0: 0100007F:2424 00000000:0000 0A\n'
  const root = t.testdir({ net: { tcp: HEADER + row }, sys: { net: RANGE } })
  t.same(await readPorts(root), { used: 1, total: 28_232 })
})

t.test('a table far larger than the window is read to its end', async t => {
  const rows = Array.from({ length: 20_000 }, (_, n) => {
    const port = (n + 1_000).toString(16).toUpperCase().padStart(4, '0')
    return `${String(n).padStart(5)}: 0100007F:${port} 00000000:0000 06 00000000:00000000 00:00000000 00000000\n`
  })
  const root = t.testdir({ net: { tcp: HEADER + rows.join('') }, sys: { net: RANGE } })
  t.equal((await readPorts(root)).used, 20_000)
})

t.test('missing or strange tables are errors, never a number', async t => {
  await t.rejects(readPorts(t.testdir({})), { code: 'ENOENT' })
  const root = t.testdir({ net: { tcp: HEADER + 'what is this\n' }, sys: { net: RANGE } })
  await t.rejects(readPorts(root), /row that is none/)
  writeFileSync(join(root, 'net/tcp'), HEADER)
  for (const range of ['', '1', '60999 32768', 'a b']) {
    writeFileSync(join(root, 'sys/net/ipv4/ip_local_port_range'), range)
    await t.rejects(readPorts(root), /port range/, range)
  }
})

t.test('the tables of this machine show a port that is in use', { skip: process.platform !== 'linux' }, async t => {
  const before = await readPorts('/proc')
  t.ok(before.total > 0)
  const servers = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  t.teardown(() => servers.forEach(server => server.close()))
  t.ok((await readPorts('/proc')).used >= 50)
})
