import t from 'tap'
import { nearMiss } from '../../lib/service/near-miss.ts'

t.test('a slip of the fingers finds the word that was meant', t => {
  const commands = ['sidecar', 'decider', 'demo', 'doctor']
  const cases: [typed: string, meant: string | undefined][] = [
    ['sidcar', 'sidecar'],
    ['siedcar', 'sidecar'],
    ['SIDECAR', 'sidecar'],
    ['decidre', 'decider'],
    ['dmeo', 'demo'],
    ['doctors', 'doctor'],
    ['help', undefined],
    ['de', undefined],
    ['', undefined],
  ]
  for (const [typed, meant] of cases) t.equal(nearMiss(typed, commands), meant, typed)
  t.equal(nearMiss('tags', ['tag', 'flags']), 'tag', 'the nearest wins')
  t.end()
})
