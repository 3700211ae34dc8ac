import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'

const run = promisify(execFile)
const ROOT = new URL('../..', import.meta.url).pathname

/** What `launch` makes of a bundle that prints how it was started. */
async function started(t: Test, name: string, nodeFlags: string[] = []) {
  const folder = t.testdir({
    'bundle.cjs':
      'console.log(JSON.stringify({ pid: process.pid, flags: process.execArgv, argv: process.argv.slice(2) }))',
    'main.mts': `
      import { launch } from '${ROOT}cli/launch.ts'
      console.log(process.pid)
      launch('${name}', new URL('bundle.cjs', import.meta.url).pathname, process.argv)`,
  })
  const argv = [...nodeFlags, '--import', 'tsx', `${folder}/main.mts`, name, '--listen', ':0']
  const { stdout } = await run(process.execPath, argv, { cwd: ROOT })
  const [pid, report = ''] = stdout.trim().split('\n')
  return { pid: Number(pid), report: JSON.parse(report) as { pid: number; flags: string[]; argv: string[] } }
}

t.test('a program keeps its process and gets its arguments', async t => {
  for (const name of ['sidecar', 'decider']) {
    const { pid, report } = await started(t, name)
    t.equal(report.pid, pid, name)
    t.same(report.argv, [name, '--listen', ':0'])
  }
})

t.test('a heap is capped where Node can replace itself, and flags that were given stay', async t => {
  const canReplace = 'execve' in process
  for (const [name, cap] of [
    ['sidecar', '--max-old-space-size=32'],
    ['webhook', '--max-old-space-size=128'],
    ['decider', '--max-semi-space-size=4'],
  ] as const) {
    const { report } = await started(t, name, ['--no-warnings'])
    t.equal(report.flags.includes(cap), canReplace, name)
    t.ok(report.flags.includes('--no-warnings'))
  }
  const other = await started(t, 'doctor')
  t.notOk(
    other.report.flags.some(flag => flag.startsWith('--max-')),
    'others are not capped',
  )
})
