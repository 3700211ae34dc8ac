import { systemClock } from '../../lib/service/clock.ts'

/** Series as they are written, `name{label="value"}`, and their values. */
export type Samples = ReadonlyMap<string, number>

/** All samples of a text exposition, of whatever metric. */
export function samplesOf(exposition: string): Samples {
  const lines = exposition.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map(line => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))]
    }),
  )
}

export async function scrape(url: string): Promise<Samples> {
  const response = await fetch(`${url}/metrics`)
  if (response.status !== 200) throw new Error(`/metrics answers ${response.status}`)
  return samplesOf(await response.text())
}

/** Every series that is not as it was, and by how much; one that was not there counts from 0. */
export function differences(before: Samples, after: Samples): Record<string, number> {
  const names = new Set([...before.keys(), ...after.keys()])
  const changes = [...names].map((name): [string, number] => [name, (after.get(name) ?? 0) - (before.get(name) ?? 0)])
  return Object.fromEntries(changes.filter(([, change]) => change !== 0))
}

/**
 * What `work` changes in the metrics at `url`, all of it. The work's traces may come a moment after its answer, so that
 * this waits until there are as many changes as `expected` has, and for what is too many once more.
 */
export async function changes(
  url: string,
  expected: Readonly<Record<string, number>>,
  work: () => Promise<unknown>,
): Promise<Record<string, number>> {
  const before = await scrape(url)
  await work()
  const wanted = Object.keys(expected).length
  let found = differences(before, await scrape(url))
  for (let turn = 0; turn < 200 && Object.keys(found).length < wanted; turn++) {
    await systemClock.sleep(10)
    found = differences(before, await scrape(url))
  }
  return differences(before, await scrape(url))
}
