import { spawnSync } from 'node:child_process'
import t from 'tap'

const run = (script: string, ...args: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', script, ...args], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  })

t.test('the benchmark refuses what it does not know, with its usage', t => {
  for (const args of [['unheard-of'], ['--seconds', '0'], ['--requests', 'many']])
    t.match(run('test/bench/main.ts', ...args), { status: 64, stderr: /npm run bench/ })
  t.end()
})

t.test('the soak does, too', t => {
  for (const args of [
    ['--minutes', '0'],
    ['--every', 'x'],
    ['--seed', '1.5'],
  ])
    t.match(run('test/soak/main.ts', ...args), { status: 64, stderr: /npm run soak/ })
  t.end()
})
