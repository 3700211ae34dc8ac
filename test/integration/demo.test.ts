import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { buildPrograms } from '../support/programs.ts'

/** The demo in an environment without a Prometheus; whatever it starts is found by its folder for temporary files. */
function startDemo(programs: string, temporary: string) {
  return spawn(process.execPath, [join(programs, 'hadr.cjs'), 'demo', '--no-color'], {
    env: { PATH: '', TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** Command lines of running processes that name the folder. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(pid => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return ''
      }
    })
    .filter(line => line.includes(folder))
}

t.test('the demonstration', async t => {
  const programs = t.testdir()
  await buildPrograms(programs)

  await t.test('plays the fail-over without a Prometheus, says so, and ends with 0', async t => {
    const temporary = t.testdir()
    const demo = startDemo(programs, temporary)
    const lines: string[] = []
    createInterface({ input: demo.stdout }).on('line', line => lines.push(line))
    const [code] = (await once(demo, 'close')) as [number]
    const story = lines.join('\n')
    t.equal(code, 0, story)
    t.match(story, /Prometheus: none on the PATH/)
    t.match(story, /Time scale: 0\.1/)
    t.match(story, /All of cluster a is killed[^]*cluster b gets rnd-runner[^]*cluster a no longer has rnd-runner/)
    t.match(story, /nobody carried the main tag\s+0\.0 s/)
    t.match(story, /jobs lost\s+0\n/)
    t.match(story, /Every promise held\./)
    t.notMatch(story, '\u001b', 'plain lines where there is no terminal')
    t.same(readdirSync(temporary), [], 'nothing is left behind')
  })

  await t.test('stops on a signal with 1, and leaves no process behind', async t => {
    const temporary = t.testdir()
    const demo = startDemo(programs, temporary)
    for await (const line of createInterface({ input: demo.stdout })) {
      if (line.includes('Cluster a starts')) {
        demo.kill('SIGTERM')
        break
      }
    }
    const [code] = (await once(demo, 'exit')) as [number]
    t.equal(code, 1)
    t.same(processesOf(temporary), [])
  })
})
