import { readFileSync } from 'node:fs'
import t from 'tap'

/**
 * Everything that can go wrong, and everything a start can meet, in one list, each with the cases that show what the
 * decider does then. A case that is renamed or removed is missed here.
 */
const ROWS: Record<string, readonly (readonly [file: string, test: string])[]> = {
  'a whole cluster dies': [
    ['outages', 'a total death of the holder is over within two minutes, fencing included'],
    ['probes', 'a silent holder whose runners do not answer is dead within the minute that a probe may last'],
    ['fencing', 'the runners of a cluster dead for T_dead + 2 P lose the tag, no earlier'],
  ],
  'a Prometheus is down or stuck': [
    ['outages', 'of Prometheus of up to T_unknown moves nothing, whoever is hit'],
    ['outages', 'of Prometheus for longer moves the tag to a cluster that is known to serve'],
    ['outages', 'of both Prometheus for longer leaves the tag where it is'],
    ['emergency', 'own capacity unknown, nobody else can: after 120 s'],
  ],
  'a Prometheus answers with old samples': [
    ['capacity', 'a sample of exactly the greatest age is fresh'],
    ['capacity', 'an older one makes its pod unknown, not unavailable, and does not drop it'],
  ],
  'GitLab does not answer': [
    ['outages', 'of GitLab holds: nothing is written, whatever happens meanwhile'],
    ['knowledge', 'an outage of GitLab ages nobody, whatever its length'],
    ['outages', 'of GitLab makes scores settle: for 180 s after it they rise, and do not fall'],
  ],
  'GitLab is slow, refuses, limits, or an answer is lost': [
    ['act', 'writes no tag when the heartbeat took longer than 2 P'],
    ['act', 'a heartbeat that fails stops no repair'],
    ['tag-writer', 'a failure before the write is a failure; after it, it may have been applied'],
    ['active', 'an ambiguous publish changes nothing until the file is read again'],
    ['doubt', 'after a publish whose answer was lost, whatever is published since'],
  ],
  'two clusters cannot reach one another': [
    // They never try to: all they know of each other comes from GitLab, as in every case of these files.
    ['standby', 'go as soon as another is seen serving, whatever its epoch'],
  ],
  'a decider is cut off from GitLab, its runners are not': [
    ['outages', 'of the way to GitLab from one cluster, its runners fine: no move for an hour'],
    ['probes', 'answering runners are asked again every 60 s and keep a silent cluster alive for one hour'],
    ['standby', 'is muted after T_dead and not before'],
  ],
  'two clusters hold at once': [
    ['active', 'of two claims exactly the lower one yields'],
    ['active', 'of three claims all but the highest yield'],
    ['active', 'the active cluster yields to a proven higher claim that serves, and to nothing less'],
  ],
  'nobody holds': [
    ['emergency', 'without a live claim the first in rank takes over at once, the next ones 20 s later each'],
    ['emergency', 'rank goes by score, then by priority, then by name, among the living'],
  ],
  'a rolling restart makes the numbers go up and down': [
    ['preference', 'a rolling restart moves nothing, in either cluster'],
    ['preference', 'a rollout of the incumbent freezes it, and the 300 s count from its end'],
    ['preference', 'one cycle of weakness within the 300 s starts them anew'],
  ],
  'equally strong clusters': [['preference', 'a tie moves nothing, ever']],
  'clocks that differ, jump or run at another rate': [
    ['decide.properties', 'the zero of a clock is of no account, neither the monotonic one nor the wall’s'],
    ['pins', 'counts until its end by GitLab’s clock, whatever the local clock says'],
    ['standby', 'it goes by GitLab’s clock: a local clock set forward shortens nothing'],
  ],
  'two processes in one cluster': [
    ['standby', 'a process whose predecessor’s late write turns the file inactive waits as well'],
    ['fencing', 'the own file must show a seq that this process published within T_dead'],
    ['doubt', 'a new own file that is inactive starts the quarantine: another process may have begun to yield'],
  ],
  'a crash between two writes': [
    ['beginnings', 'a crash between the claim and the tags is mended by the next process'],
    ['beginnings', 'a crash between the claim and the tags while the loser still serves: the claim wins'],
    ['promote', 'by pin whose claim landed unseen is finished by the next cycle'],
  ],
  'a write of a crashed process lands late': [
    ['standby', 'a process that starts beside an inactive file takes it for just turned'],
    ['standby', 'no promotion within 60 s of the own file turning inactive, not even in an emergency'],
    ['doubt', 'after a start: nobody knows what the process before had under way'],
  ],
  'people change tags': [
    ['active', 'a tag that an administrator removed comes back with the next cycle'],
    ['tag-writer', 'tags that people add meanwhile survive'],
    ['active', 'a main tag on a runner of no cluster, or of several, is reported and left alone'],
  ],
  'first start, no file, nobody tagged': [['beginnings', 'no file and nobody tagged: one cluster claims']],
  'first start, one cluster tagged by hand': [['beginnings', 'one cluster tagged by hand: served all the time']],
  'first start, both tagged': [['beginnings', 'both tagged: one claims, the other cleans up']],
  'first start in the cluster that is not tagged': [
    ['beginnings', 'the decider installed first in the untagged cluster leaves the tag where people put it'],
  ],
  'own file deleted': [
    ['beginnings', 'deleted while the process runs: it is published again as it was'],
    ['beginnings', 'deleted and the process restarted: the cluster that holds claims anew'],
  ],
  'the other died while GitLab was away for an hour': [
    ['outages', 'after it died during an outage of GitLab of one hour'],
  ],
  'a cluster returns with an active file': [
    ['outages', 'with an active file and its tags: it yields once the other is proven'],
    ['active', 'a returning cluster that was fenced waits until the higher claim is proven or dead'],
  ],
  'a cluster renamed': [['outages', 'a cluster renamed on its own side only']],
  'a cluster removed from one configuration': [['outages', 'a cluster removed on one side only']],
  'differing margins': [['outages', 'differing margins and priorities are no mismatch, and cause no see-saw']],
  'a restart while Prometheus is down': [
    ['beginnings', 'of the active decider changes nothing, with Prometheus up or down'],
    ['beginnings', 'with Prometheus down goes on counting the unknown time from the own file'],
  ],
  'the project’s token expired, the runners’ did not': [
    ['outages', 'of the project’s token, the runners’ working'],
    ['act', 'with the project’s token expired nothing moves, though the runners’ works'],
  ],
  'a pin to a dead cluster': [['pins', 'to a dead cluster stops nothing']],
  'a pin against the preference': [
    ['pins', 'and preference at odds: the pin wins, and nobody moves back while it lasts'],
  ],
  'a pause that ended, on a wrong clock': [['pauses', 'ends by GitLab’s clock, on a local clock set back or forward']],
  'stale runner entities that carry the tag': [
    ['outages', 'that carry the tag do not make a cluster look as if it served'],
    ['outages', 'do not make a live cluster look dead when its decider is silent'],
    ['probes', 'among stale runner entities those are asked behind which pods served'],
  ],
  'a suspended process': [
    ['outages', 'resumed after a suspension of its process: it neither repairs nor removes on what it knew'],
    ['knowledge', 'a suspended process notices by the wall clock what its monotonic clock did not count'],
    ['tag-writer', 'a machine that was suspended sends nothing afterwards, though its monotonic clock stood still'],
  ],
  'S1, never the last': [['world.properties', 'whatever happens, no decider takes the last tag']],
  'S2, S5 and S7: who writes, unknown is inert, paused is inert': [
    ['invariants.properties', 'no plan breaks a rule, whatever is observed'],
  ],
  'S3, one yields': [['invariants.properties', 'S3: of all who claim, the highest never yields']],
  'S4, the tags of others': [['tag-writer', 'tags after minus the main tag are the tags before minus it']],
  'S6, bounded moves': [
    ['world.properties', 'preference moves keep the minimum hold, however often the scores change'],
  ],
  'S8, pure': [
    ['decide.properties', 'it never throws, changes nothing that it is given, and decides the same on the same'],
    ['metamorphic.properties', 'S8: as plans come true, nothing is left to do after a few'],
  ],
}

for (const [row, cases] of Object.entries(ROWS)) {
  t.test(row, t => {
    for (const [file, test] of cases) {
      const source = readFileSync(new URL(`${file}.test.ts`, import.meta.url), 'utf8')
      const names = [...source.matchAll(/(?:test\(\s*|^\s*\[?\s*|name: )'([^'\n]+)'/gm)].map(([, name]) => name ?? '')
      t.ok(
        names.some(name => name.startsWith(test)),
        `${file}: ${test}`,
      )
    }
    t.end()
  })
}
