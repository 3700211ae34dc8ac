import t from 'tap'
import { decideOptions } from '../webhook/pods.ts'
import { review } from '../../webhook/review.ts'
import { mistakeIn } from './webhook/answers.ts'
import { reviewBodies, reviewOfSize } from './webhook/bodies.ts'

const options = { ...decideOptions(), digest: '0123456789ab' }

function answerTo(text: string) {
  const reviewed = review(JSON.parse(text), options)
  if ('refused' in reviewed) throw new Error(reviewed.refused)
  return { status: 200, body: Buffer.from(JSON.stringify(reviewed.answer)) }
}

function sidecarOf(text: string): unknown {
  const { response } = JSON.parse(answerTo(text).body.toString()) as { response: { patch: string } }
  const patch = JSON.parse(Buffer.from(response.patch, 'base64').toString()) as { path: string; value: unknown }[]
  return patch.find(({ path }) => path === '/spec/containers/-')?.value
}

t.test('the reviews have the sizes that they are named after, and all of them are given the sidecar', t => {
  const sizes = [4_000, 13_000, 180_000, 1_400_000]
  for (const [index, { name, text }] of reviewBodies().entries()) {
    const wanted = sizes[index] ?? NaN
    t.ok(Math.abs(text.length / wanted - 1) < 0.05, `${name}: ${text.length}`)
    t.equal(mistakeIn(answerTo(text), text, sidecarOf(text)), undefined, name)
  }
  t.end()
})

t.test('a wrong answer is told from a right one', t => {
  const text = reviewOfSize('operator-runner', 4_000)
  const right = answerTo(text)
  const sidecar = sidecarOf(text)
  const answered = (response: object) => ({ status: 200, body: Buffer.from(JSON.stringify({ response })) })
  const patch = (operations: object[]) => Buffer.from(JSON.stringify(operations)).toString('base64')
  t.match(mistakeIn({ ...right, status: 503 }, text, sidecar), /status 503/)
  t.match(mistakeIn(answered({ allowed: false }), text, sidecar), /denies/)
  t.match(mistakeIn(answered({ allowed: true }), text, sidecar), /patches nothing/)
  const other = [{ op: 'add', path: '/spec/containers/-', value: { name: 'other' } }]
  t.match(mistakeIn(answered({ allowed: true, patch: patch(other) }), text, sidecar), /other containers/)
  t.match(mistakeIn(right, text, { name: 'other' }), /other containers/)
  t.end()
})
