import { execFile } from 'node:child_process'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { commandArguments } from '../../cli/arguments.ts'
import { COMMANDS } from '../../cli/commands.ts'
import { dispatch } from '../../cli/dispatch.ts'

const ask = (...words: string[]) => dispatch(['node', '/bin/hadr', ...words], COMMANDS, '1.2.3')

t.test('help lists every command with its summary and an example', t => {
  for (const result of [ask('--help'), ask('-h'), ask('help')]) {
    for (const { name, summary, example } of COMMANDS) {
      t.match(result, { kind: 'print', text: new RegExp(`\n  ${name} +${summary}\n`) })
      t.match(result, { text: `  ${example}\n` })
    }
  }
  t.end()
})

t.test('a command is run with all that follows it', t => {
  const argv = ['node', '/bin/hadr', 'decider', '--config', 'x', '--help']
  t.strictSame(ask('decider', '--config', 'x', '--help'), { kind: 'run', name: 'decider', argv })
  t.strictSame(ask('help', 'demo'), { kind: 'run', name: 'demo', argv: ['node', '/bin/hadr', 'demo', '--help'] })
  t.end()
})

t.test('an unknown command is refused with exit code 2, and with the one that was meant', t => {
  t.strictSame(ask('decidre'), {
    kind: 'refuse',
    exitCode: 2,
    text: 'hadr: unknown command decidre. Did you mean hadr decider?\n',
  })
  t.match(ask('frobnicate'), { kind: 'refuse', exitCode: 2, text: /unknown command frobnicate\. See hadr --help/ })
  t.match(ask('--frob'), { kind: 'refuse', exitCode: 2, text: /unknown option --frob/ })
  t.match(ask('help', 'sidcar'), { kind: 'refuse', exitCode: 2, text: /Did you mean hadr sidecar\?/ })
  t.match(ask(), { kind: 'refuse', exitCode: 2, text: /^Usage: hadr/ })
  t.end()
})

t.test('a program reads the same arguments whether hadr loaded it or it was started alone', t => {
  t.strictSame(commandArguments(['node', '/bin/hadr', 'sidecar', '--x', '1'], 'sidecar'), ['--x', '1'])
  t.strictSame(commandArguments(['node', '/dist/sidecar.cjs', '--x', '1'], 'sidecar'), ['--x', '1'])
  t.strictSame(commandArguments(['node', '/dist/sidecar.cjs'], 'sidecar'), [])
  t.end()
})

t.test('the built program', async t => {
  const folder = t.testdir()
  const built = await run(process.execPath, ['build.mjs', folder])
  t.strictSame(built, { code: 0, stdout: '', stderr: '' })
  const hadr = join(folder, 'hadr.cjs')

  await t.test('prints help and version', async t => {
    t.match(await run(hadr, ['--help']), { code: 0, stdout: /^Usage: hadr/, stderr: '' })
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    t.strictSame(await run(hadr, ['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
  })

  await t.test('refuses what it does not know on standard error', async t => {
    t.match(await run(hadr, ['dmeo']), { code: 2, stdout: '', stderr: /Did you mean hadr demo\?/ })
  })

  await t.test('loads the bundle next to itself, also when started by a link', async t => {
    writeFileSync(join(folder, 'demo.cjs'), 'console.log(process.argv.slice(2).join(" "))')
    const link = join(t.testdir(), 'hadr')
    symlinkSync(hadr, link)
    for (const file of [hadr, link]) {
      t.strictSame(await run(file, ['demo', '--fast']), { code: 0, stdout: 'demo --fast\n', stderr: '' })
    }
  })

  await t.test('says so when a bundle is missing', async t => {
    const copy = join(t.testdir({ 'hadr.cjs': readFileSync(hadr) }), 'hadr.cjs')
    t.match(await run(process.execPath, [copy, 'demo']), { code: 1, stdout: '', stderr: /npm run build/ })
  })

  await t.test('is small, since the sidecar of every pod starts through it', t => {
    t.ok(readFileSync(hadr).length < 16 * 1024, `${readFileSync(hadr).length} bytes`)
    const bundles = ['commander', 'fastify', 'axios', 'pino'].filter(name => readFileSync(hadr, 'utf8').includes(name))
    t.strictSame(bundles, [])
    t.end()
  })
})

function run(file: string, args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise(resolve => {
    execFile(file, args, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr })
    })
  })
}
