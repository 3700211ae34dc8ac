import { readFileSync } from 'node:fs'
import { setMaxListeners } from 'node:events'
import t from 'tap'
import { STATES } from '../../decider/model.ts'
import { STORIES, tell } from './stories.ts'

// Virtual time asks much of a processor; a busy machine is no failure.
t.setTimeout(1_200_000)
setMaxListeners(0)

const text = readFileSync('docs/failover.md', 'utf8')

/** Times and counts depend on phases of chance; words do not. */
const wordsOf = (line: string) => line.replace(/\d[\d:.TZ-]*/g, '#')

for (const story of STORIES) {
  t.test(`${story.name}: the documented sentences are those that the deciders say`, async t => {
    const section = text.split(`### ${story.name}\n`)[1]?.split('\n### ')[0] ?? ''
    const documented = (/```text\n([^]*?)```/.exec(section)?.[1] ?? '').trim().split('\n').map(wordsOf)
    const told = (await tell(story))
      .map(line => /^\S+ +([ab]) +([A-Z_]{4,}.*)$/.exec(line))
      .flatMap(match => (match ? [wordsOf(`${match[1] ?? ''}  ${match[2] ?? ''}`)] : []))
    // What two deciders say in the same moment may come in either order.
    t.strictSame(documented.sort(), told.sort())
  })
}

t.test('every state and every alert is explained', t => {
  const model = readFileSync('decider/model.ts', 'utf8')
  const alerts = [...(model.split('export type Alert =')[1]?.split('\n\n')[0] ?? '').matchAll(/kind: '(\w+)'/g)]
  t.ok(alerts.length > 3)
  for (const state of STATES) t.match(text, `\`${state}\``)
  for (const [, kind = ''] of alerts) t.match(text, `\`${kind}\``)
  t.end()
})
