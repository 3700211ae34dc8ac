const decider = names => names.map(name => `test/decider/${name}.test.ts`)

/** What is mutated, and the tests that are to notice: the quick ones first, the properties last. */
export const GROUPS = {
  decide: {
    mutate: ['decide', 'active', 'standby', 'situation', 'views', 'memory', 'pool', 'pin', 'timing', 'word'].map(
      name => `decider/${name}.ts`,
    ),
    tests: decider([
      'active',
      'standby',
      'emergency',
      'preference',
      'pins',
      'pin-refusal',
      'sentences',
      'limits',
      'probe-limits',
      'asking',
      'pauses',
      'fencing',
      'doubt',
      'knowledge',
      'scores',
      'probes',
      'beginnings',
      'outages',
      'config',
      'pool',
      'word',
    ]),
  },
  act: {
    mutate: ['decider/act/*.ts'],
    tests: decider(['act', 'act-words', 'demote', 'promote', 'doubt', 'tag-writer', 'publisher', 'write-queue']),
  },
  webhook: {
    mutate: ['webhook/target.ts', 'webhook/inject.ts'],
    tests: ['target', 'inject', 'review', 'conditions'].map(name => `test/webhook/${name}.test.ts`),
  },
  sidecar: { mutate: ['sidecar/availability.ts'], tests: ['test/sidecar/availability.test.ts'] },
}
