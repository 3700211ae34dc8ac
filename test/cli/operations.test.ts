import { readFileSync } from 'node:fs'
import t from 'tap'
import { CHECKS } from '../../cli/doctor.ts'
import { runStatus } from '../../cli/status.ts'
import { runPause, runResume, runSwitch } from '../../cli/steer.ts'
import { createSimulatedTransport } from '../../simulator/gitlab/transport.ts'
import { createTestTerminal, type TestTerminal } from '../support/terminal.ts'
import { createWorld } from '../support/world.ts'
import { createHealthyScene } from './doctor-scene.ts'

const text = readFileSync('docs/operations.md', 'utf8')
const commands = [...text.matchAll(/```sh\n([^]*?)```/g)]
  .flatMap(([, block = '']) => block.split('\n'))
  .filter(line => line.startsWith('hadr '))
  .map(line => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '').slice(1))

const STEERING: Record<string, (argv: readonly string[], terminal: TestTerminal) => Promise<number>> = {
  status: runStatus,
  switch: runSwitch,
  pause: runPause,
  resume: runResume,
}

t.test('the commands of the page work, one after the other', async t => {
  const world = createWorld({ clusters: [{ name: 'a', tagged: true, priority: 2 }, { name: 'b' }] })
  world.gitlab.state.addToken({ token: 'glpat-ann', name: 'ann', scopes: ['api'], projects: { 101: 'maintainer' } })
  for (const cluster of Object.values(world.clusters)) cluster.start()
  await world.clock.advance(60_000)
  const scene = await createHealthyScene(t)
  t.ok(commands.length >= 6)
  for (const [name = '', ...argv] of commands) {
    if (name === 'doctor') {
      t.match(argv, ['--config', 'decider.yaml', '--webhook-config', 'webhook.yaml'])
      t.match(await scene.run(), { code: 0 })
      continue
    }
    const terminal = createTestTerminal({
      env: { HADR_GITLAB_URL: 'http://gitlab.test', HADR_PROJECT: '101', HADR_GITLAB_TOKEN: 'glpat-ann' },
      clock: world.clock,
      transport: createSimulatedTransport(world.gitlab, { clock: world.clock, latencyMs: () => 20 }),
    })
    const command = STEERING[name]
    t.type(command, 'function', name)
    let code: number | undefined
    const ending = command?.(argv, terminal).then(ended => (code = ended))
    for (let turns = 0; code === undefined && turns < 1000; turns++) await world.clock.advance(250)
    await ending
    t.equal(code, 0, `${name} ${argv.join(' ')}: ${terminal.stderr}`)
  }
  for (const cluster of Object.values(world.clusters)) cluster.die()
  world.gitlab.close()
})

t.test('every check of the doctor is on the page', t => {
  for (const { id } of CHECKS) t.ok(text.includes(`\`${id}\``), id)
  t.end()
})
