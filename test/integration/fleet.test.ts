import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { prometheusVersion } from '../../simulator/prometheus/process.ts'
import { buildPrograms } from '../support/programs.ts'

t.test('the demonstration of the fleet: load rises and falls, managers follow, and no job dies', async t => {
  const folder = t.testdir({ programs: {}, temporary: {} })
  const [programs, temporary] = [join(folder, 'programs'), join(folder, 'temporary')]
  await buildPrograms(programs)
  const version = await prometheusVersion()
  t.comment(version === undefined ? 'with a simulated Prometheus' : `with Prometheus ${version}`)
  const demo = spawn(process.execPath, [join(programs, 'hadr.cjs'), 'demo', '--fleet', '--no-color'], {
    env: { PATH: process.env['PATH'] ?? '', TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  createInterface({ input: demo.stdout }).on('line', line => lines.push(line))
  const [code] = (await once(demo, 'close')) as [number]
  const story = lines.join('\n')
  t.equal(code, 0, story)
  t.match(story, /Load rises[^]*→ 4 managers[^]*Load falls[^]*4 → 3 managers[^]*3 → 2 managers[^]*2 → 1 managers/)
  t.match(story, /managers +1 at first, 4 at most, 1 at last/)
  t.match(story, /steps up and down +(\+\d )+-1 -1 -1\n/)
  t.match(story, /jobs that died +0\n/)
  if (version !== undefined) t.match(story, /peaks read back +within 5 % of the known ones/)
  else t.match(story, /Left out: there is no prometheus/)
  t.match(story, /Every promise held\./)
  t.notMatch(story, '\u001b', 'plain lines where there is no terminal')
  t.same(readdirSync(temporary), [], 'nothing is left behind')
})
