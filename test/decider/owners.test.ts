import t from 'tap'
import { createGitLabClient } from '../../lib/gitlab/client.ts'
import type { RunnerOwner } from '../../lib/gitlab/types.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { createSimulatedTransport } from '../../simulator/gitlab/transport.ts'
import { TOKENS, createFurnished } from '../support/gitlab.ts'

const refusal = (reading: Promise<unknown>) =>
  reading.then(
    () => undefined,
    (error: unknown) => error,
  )

t.test('the runners of a group, of a project and of the instance are read, and no others, both ways', async t => {
  for (const graphql of [true, false]) {
    const { core } = createFurnished(t, { graphql })
    const client = (token: string) =>
      createGitLabClient({
        url: 'http://gitlab.test',
        transport: createSimulatedTransport(core),
        token: () => Promise.resolve(token),
        clock: systemClock,
        random: () => 0.5,
      })
    const read = async (owner: RunnerOwner, tag: string, token: string) =>
      (await client(token).readPool({ ...owner, project: 101, tags: [tag], files: [] })).runners.map(({ id }) => id)
    t.same(await read({ group: 33 }, 'runner-a', TOKENS.owner), [1])
    t.same(await read({ runnersProject: 101 }, 'shared', TOKENS.owner), [4])
    t.same(await read({ instance: true }, 'shared', TOKENS.admin), [3])
    t.match(await refusal(read({ instance: true }, 'shared', TOKENS.owner)), { kind: 'forbidden' })
    t.match(await refusal(read({ runnersProject: 101 }, 'shared', TOKENS.reporter)), { kind: 'forbidden' })
  }
})
