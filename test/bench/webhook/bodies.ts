import { readFileSync } from 'node:fs'

interface Review {
  request: { object: { spec: { containers: { name: string; env?: object[] }[] } } }
}

export interface Body {
  name: string
  text: string
}

/** A pod of the operator, a pod of the chart with many settings, and two that nobody should write. */
export function reviewBodies(): Body[] {
  return [
    { name: '4 KB', text: reviewOfSize('operator-runner', 4_000) },
    { name: '13 KB', text: withVariables('chart-default-release', 180, 4) },
    { name: '180 KB', text: reviewOfSize('chart-default-release', 180_000) },
    { name: '1.4 MB', text: reviewOfSize('chart-default-release', 1_400_000) },
  ]
}

const VALUE_LENGTH = 30

/** A review that a real API server sent, its runner given as many variables as make it about `bytes` long. */
export function reviewOfSize(recording: string, bytes: number): string {
  const bare = withVariables(recording, 0, VALUE_LENGTH).length
  const each = (withVariables(recording, 1000, VALUE_LENGTH).length - bare) / 1000
  return withVariables(recording, Math.max(0, Math.round((bytes - bare) / each)), VALUE_LENGTH)
}

function withVariables(recording: string, count: number, valueLength: number): string {
  const file = new URL(`../../recordings/kubernetes/admission-reviews/${recording}.json`, import.meta.url)
  const { bodyText } = JSON.parse(readFileSync(file, 'utf8')) as { bodyText: string }
  const review = JSON.parse(bodyText) as Review
  const [runner] = review.request.object.spec.containers
  if (runner === undefined) throw new Error(`${recording} has no container`)
  const added = Array.from({ length: count }, (_, index) => {
    const number = String(index).padStart(3, '0')
    return { name: `VAR_${number}`, value: number.padEnd(valueLength, 'x') }
  })
  runner.env = [...(runner.env ?? []), ...added]
  return JSON.stringify(review)
}
