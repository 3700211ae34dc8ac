import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

interface Mutant {
  known: boolean
  status: string
  where: string
}

t.test('the mutation runner still tells what tests notice from what they do not', async t => {
  const { stdout } = await promisify(execFile)(process.execPath, ['test/mutation/sample.mjs'])
  const mutants = JSON.parse(stdout) as Mutant[]
  const known = mutants.filter(mutant => mutant.known)
  t.ok(known.length >= 10, `${known.length} mutants`)
  // A mutant that never ends is noticed, too; so is one that a busy machine takes too long for.
  for (const { status, where } of known) t.ok(['Killed', 'Timeout'].includes(status), `${where}: ${status}`)
  t.ok(
    mutants.some(({ known, status }) => !known && status === 'Survived'),
    'what no test looks at survives',
  )
})
