import { readFileSync } from 'node:fs'
import t from 'tap'
import { statusSchema } from '../../decider/status/schema.ts'
import { statusMistakes } from '../support/status-schema.ts'
import { MAIN_TAG, type World, createWorld } from '../support/world.ts'

const PAIR = [{ name: 'a', tagged: true, priority: 2 }, { name: 'b' }]
const poolOf = (world: World, cluster: string) => world.clusters[cluster]?.decider?.status().pools[0]

/** Moves time in steps of ten seconds and looks at every answer on the way. */
async function watch(t: Tap.Test, world: World, forMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < forMs; passedMs += 10_000) {
    await world.clock.advance(10_000)
    for (const { name, decider } of Object.values(world.clusters)) {
      if (decider) t.strictSame(statusMistakes(decider.status()), [], `cluster ${name} after ${passedMs} ms`)
    }
  }
}

async function wish(world: World, pool: object): Promise<void> {
  await world.gitlab.handle({
    method: 'POST',
    path: '/api/v4/projects/101/repository/commits',
    headers: { 'content-type': 'application/json', 'private-token': 'glpat-a' },
    body: JSON.stringify({
      branch: 'main',
      commit_message: 'wishes',
      actions: [
        {
          action: world.gitlab.state.readFile(101, 'main', 'control.json') === undefined ? 'create' : 'update',
          file_path: 'control.json',
          content: JSON.stringify({ schema: 1, pools: { [MAIN_TAG]: pool } }),
        },
      ],
    }),
    signal: new AbortController().signal,
  })
}
