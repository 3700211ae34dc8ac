import type { Observation, PoolConfig, PoolStatus, Word } from './model.ts'

/**
 * The newest claim that this process sent, as long as GitLab does not show it: it may land at any moment, or be lost.
 * Undefined: the own file that was read is at least as new.
 */
export function unreadWord({ gitlab, outcomes }: Observation, { self }: PoolConfig): Word | undefined {
  const file = gitlab.readable ? gitlab.files[self] : undefined
  const { ownWord } = outcomes
  return file?.kind === 'read' && ownWord && ownWord.seq <= file.seq ? undefined : ownWord
}

/**
 * `part`, which rests on an older file, as it may be said after `word`: it claims only what both claim, and its epoch does
 * not fall. Else a file would go back to a claim that was given up, or to an epoch before one that others have seen.
 * A part with a newer epoch is a new claim and stays as it is.
 */
export function inKeeping(part: PoolStatus, word: Word | undefined): PoolStatus {
  if (!word || part.epoch > word.epoch) return part
  return { ...part, epoch: word.epoch, active: part.active && word.active }
}
