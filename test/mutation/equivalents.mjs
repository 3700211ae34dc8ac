const file = 'every configured cluster has an entry in `files`, by contract; the compiler cannot know'
const known = 'a peer whose presence is `known` has a status; the compiler cannot know'
const falsy = 'missing is as good as false'

/**
 * Mutants that no test can notice, because what the program does is the same: the piece of a line as it is, what stands
 * in its place, and why nobody could tell. They are left out of the score and counted in the report.
 */
export const EQUIVALENTS = [
  {
    file: 'decider/act/act.ts',
    line: 'removalSentServerMs === undefined ?',
    piece: 'removalSentServerMs === undefined',
    replacement: 'false',
    why: 'undefined is as good as missing',
  },
  {
    file: 'decider/act/act.ts',
    line: "case 'none':",
    piece: "'none'",
    replacement: '""',
    why: 'what is no case returns nothing as well',
  },
  {
    file: 'decider/act/act.ts',
    line: 'doubtMs !== undefined &&',
    piece: 'doubtMs !== undefined',
    replacement: 'true',
    why: 'the age of what never was is NaN, and no NaN is small enough',
  },
  {
    file: 'decider/act/act.ts',
    line: 'if (seq === undefined) return false',
    piece: 'seq === undefined',
    replacement: 'false',
    why: 'no seq that is read is at least an undefined one',
  },
  {
    file: 'decider/active.ts',
    line: '{ repairOnly } = { repairOnly: false }',
    piece: '{ repairOnly: false }',
    replacement: '{}',
    why: falsy,
  },
  { file: 'decider/active.ts', line: 'file?.kind', piece: 'file?.kind', replacement: 'file.kind', why: file },
  {
    file: 'decider/active.ts',
    line: 'publishedMs !== undefined &&',
    piece: 'publishedMs !== undefined',
    replacement: 'true',
    why: 'the age of what was never published is NaN, and no NaN is small enough',
  },
  {
    file: 'decider/decide.ts',
    line: 'peer.status?.digest',
    piece: 'peer.status?.digest',
    replacement: 'peer.status.digest',
    why: known,
  },
  {
    file: 'decider/decide.ts',
    line: "reason: '',",
    piece: "''",
    replacement: '"Stryker was here!"',
    why: 'whoever publishes the part gives it the reason',
  },
  { file: 'decider/decide.ts', line: 'file?.kind', piece: 'file?.kind', replacement: 'file.kind', why: file },
  {
    file: 'decider/decide.ts',
    line: 'status?.servingIds.includes(id)',
    piece: 'status?.servingIds',
    replacement: 'status.servingIds',
    why: known,
  },
  {
    file: 'decider/decide.ts',
    line: 'if (!seen.gitlab.readable) return alerts',
    piece: '!seen.gitlab.readable',
    replacement: 'false',
    why: 'alerts are looked for only when GitLab could be read; the compiler cannot know',
  },
  { file: 'decider/memory.ts', line: 'ownFile?.kind', piece: 'ownFile?.kind', replacement: 'ownFile.kind', why: file },
  {
    file: 'decider/memory.ts',
    line: "ownFile?.kind === 'read' ? ownFile.status",
    piece: "ownFile?.kind === 'read'",
    replacement: 'true',
    why: 'the status that a missing file does not give is kept from before in any case',
  },
  {
    file: 'decider/memory.ts',
    line: 'groups.get(cluster.name) ?? []',
    piece: '[]',
    replacement: '["Stryker was here"]',
    why: 'a word is a runner that neither holds nor answers',
  },
  { file: 'decider/situation.ts', line: 'if (!status) return false', piece: 'false', replacement: 'true', why: known },
  {
    file: 'decider/standby.ts',
    line: "?? 'nobody'",
    piece: "'nobody'",
    replacement: '""',
    why: 'where nobody serves, the rules of an emergency speak first',
  },
]
