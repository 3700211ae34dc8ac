import type { Timing } from './model.ts'

export const PROFILES = ['gentle', 'balanced', 'fast'] as const
export type Profile = (typeof PROFILES)[number]

/** H, T_dead and P of each profile, in seconds. Rule: T_dead ≥ 3 H + P, so that one lost heartbeat kills nobody. */
const PROFILE_SECONDS: Record<Profile, { heartbeat: number; deadAfter: number; poll: number }> = {
  gentle: { heartbeat: 30, deadAfter: 100, poll: 10 },
  balanced: { heartbeat: 15, deadAfter: 55, poll: 10 },
  fast: { heartbeat: 10, deadAfter: 35, poll: 5 },
}

/** All durations of a profile, each multiplied by `scale` (1: as documented; less: for demonstrations and tests). */
export function timingOf(profile: Profile, scale = 1): Timing {
  const { heartbeat, deadAfter, poll } = PROFILE_SECONDS[profile]
  const ms = (seconds: number) => seconds * 1000 * scale
  return {
    heartbeatMs: ms(heartbeat),
    deadAfterMs: ms(deadAfter),
    pollMs: ms(poll),
    unknownForMs: ms(600),
    settleMs: ms(180),
    failForMs: ms(20),
    staggerMs: ms(20),
    lastResortMs: ms(120),
    preferForMs: ms(300),
    holdMinMs: ms(900),
    // Puma, GitLab's web server, gives up on a request after 60 s: nothing that was sent lands later.
    quarantineMs: ms(60),
    orphanMs: ms(3600),
    probeAnswerMs: ms(40),
    probePendingMs: ms(60),
    probeAliveMs: ms(180),
    probeRenewMs: ms(60),
    // Three scrapes of 15 s; Prometheus itself would answer with samples up to five minutes old.
    sampleMaxAgeMs: ms(45),
  }
}
