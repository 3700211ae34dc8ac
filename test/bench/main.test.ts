import { spawnSync } from 'node:child_process'
import t from 'tap'

const run = (script: string, ...args: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', script, ...args], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  })

t.test('the benchmark refuses what it does not know, with its usage', t => {
  t.match(run('test/bench/main.ts', 'unheard-of'), { status: 64, stderr: /unheard-of[^]*npm run bench/ })
  t.end()
})

t.test('the soak does, too', t => {
  t.match(run('test/soak/main.ts', '--minutes', '0'), { status: 64, stderr: /npm run soak/ })
  t.end()
})
