import { execFile } from 'node:child_process'
import { readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const ROOT = new URL('..', import.meta.url).pathname
const MEBIBYTE = 1024 * 1024
const TARGET_MEBIBYTES = 180

async function filesIn(folder: string): Promise<{ path: string; bytes: number }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  return Promise.all(files.map(async path => ({ path: path.slice(folder.length), bytes: (await stat(path)).size })))
}

t.test('the image’s root', async t => {
  const folder = t.testdir()
  const root = join(folder, 'root')
  await run(process.execPath, ['build.mjs', join(folder, 'dist')], { cwd: ROOT })
  await run(join(ROOT, 'image/root.sh'), [process.execPath, join(folder, 'dist'), root])
  const files = await filesIn(root)
  const inImage = (path: string) => join(root, path)

  await t.test(`is at most ${TARGET_MEBIBYTES} MiB: the sum of its parts`, t => {
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0) / MEBIBYTE
    t.ok(total > 50 && total <= TARGET_MEBIBYTES, `${total.toFixed(1)} MiB`)
    t.end()
  })

  await t.test('holds programs, no shell and nothing for development', t => {
    const names = files.map(({ path }) => path)
    for (const program of ['hadr', 'sidecar', 'decider', 'inject']) t.ok(names.includes(`/app/${program}.cjs`), program)
    t.same(
      names.filter(path => /demo|simulated|\/(?:ba|da)?sh$|node_modules/.test(path)),
      [],
    )
    t.end()
  })

  await t.test('runs on nothing but itself, as a user that is not root', async t => {
    // `env -i`: tap puts NODE_OPTIONS into the environment of every child, and their files are not in the image.
    const chroot = (folder: string, ...argv: string[]) =>
      run('/usr/bin/env', ['-i', '/usr/sbin/chroot', '--userspec=65532:65532', folder, ...argv])
    const allowed = await chroot('/', process.execPath, '--version').then(
      () => true,
      () => false,
    )
    if (!allowed) {
      t.pass('not checked', { skip: 'this user may not change its root' })
      return
    }
    const inside = (...argv: string[]) => chroot(root, '/usr/local/bin/node', ...argv)
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    t.equal((await inside('/app/hadr.cjs', '--version')).stdout, `${version}\n`)
    t.match((await inside('/app/hadr.cjs', 'decider', '--help')).stdout, /--config/)
    t.match((await inside('-e', 'console.log(require("os").userInfo().username)')).stdout, /^hadr$/m)
    // Kubernetes puts this file into every container.
    await writeFile(inImage('etc/hosts'), '192.0.2.1 gitlab.test\n')
    const lookup = 'require("dns").lookup("gitlab.test", (error, address) => console.log(error ?? address))'
    t.equal((await inside('-e', lookup)).stdout, '192.0.2.1\n', 'names are resolved')
  })

  await t.test('says what it misses', async t => {
    await t.rejects(
      run(join(ROOT, 'image/root.sh'), [process.execPath, inImage('etc'), join(folder, 'other')]),
      /no hadr\.cjs in .*: npm run build/,
    )
    await t.rejects(run(join(ROOT, 'image/root.sh'), []), /usage/)
  })
})

t.test('the Dockerfile copies that root into an empty image and runs as a number that is not 0', async t => {
  const text = await readFile(join(ROOT, 'Dockerfile'), 'utf8')
  const final = text.slice(text.lastIndexOf('\nFROM '))
  t.match(text, /^RUN .*image\/root\.sh "\$\(command -v node\)" dist (\S+)$/m)
  t.match(final, /^FROM scratch$/m)
  t.match(final, /^USER [1-9]\d*:[1-9]\d*$/m)
  t.match(final, /^ENTRYPOINT \["\/usr\/local\/bin\/node", "\/app\/hadr\.cjs"\]$/m)
  const copied = /^COPY --from=build (\S+) \/$/m.exec(final)?.[1]
  t.equal(copied, /root\.sh .* dist (\S+)$/m.exec(text)?.[1])
})
