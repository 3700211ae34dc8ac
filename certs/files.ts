import { readFile, stat } from 'node:fs/promises'
import type { Clock, Random } from '../lib/service/clock.ts'
import type { Log } from '../lib/service/log.ts'
import type { CertificateMetrics } from './metrics.ts'
import { createPairHolder, leafReadiness, type CertificateSource } from './source.ts'

export interface FileSourceDeps {
  /** Path of the PEM certificate, chain included. */
  certificateFile: string
  /** Path of its private key, in PEM. */
  keyFile: string
  metrics: CertificateMetrics
  clock: Clock
  random: Random
  log: Log
}

/** The kubelet itself takes up to a minute to bring a changed Secret here. */
const LOOK_MS = 10_000
/** A chain of four certificates has about 8 KiB; a larger file is some other file. */
const MAX_FILE_BYTES = 256 * 1024

/**
 * A pair that somebody else keeps in two files, such as cert-manager through a mounted Secret. They are read again when
 * they change and go into service when they verify as a pair; until then the last good pair stays, since the two files
 * are never replaced in the same instant. What clients trust is that somebody's concern.
 */
export function createFileSource(deps: FileSourceDeps): CertificateSource {
  const { certificateFile, keyFile, metrics, clock, random, log } = deps
  const holder = createPairHolder({ metrics, log })
  const stopping = new AbortController()
  let seen = ''
  let lastProblem: string | undefined
  let running: Promise<void> = Promise.resolve()

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const problem = await look()
      if (problem !== undefined && problem !== lastProblem)
        log.error(
          { problem, certificateFile, keyFile, keepsLast: holder.leaf !== undefined },
          'the certificate files cannot be used',
        )
      lastProblem = problem
      await clock.sleep(LOOK_MS * (0.9 + random() / 5), stopping.signal)
    }
  }

  /** Takes a changed pair into service; answers with what keeps it from that. */
  async function look(): Promise<string | undefined> {
    try {
      const identity = `${await identify(certificateFile)} ${await identify(keyFile)}`
      if (identity === seen) return undefined
      const [certificate, key] = await Promise.all([readFile(certificateFile, 'utf8'), readFile(keyFile, 'utf8')])
      const offer = holder.offer({ certificate, key }, { nowMs: clock.wallMs() })
      if (!offer.taken) return `${certificateFile}: ${offer.problem}`
      seen = identity
      return undefined
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  return {
    start: () => {
      running = run().catch(() => undefined)
    },
    stop: async () => {
      stopping.abort(new Error('the certificate files are watched no more'))
      await running
    },
    subscribe: listener => holder.subscribe(listener),
    ready: () => {
      const verdict = leafReadiness(holder.leaf, clock.wallMs())
      return verdict !== true && holder.leaf === undefined && lastProblem !== undefined ? lastProblem : verdict
    },
  }
}

/** Changes with the file's content: Kubernetes replaces a Secret's files by moving a symbolic link to new ones. */
async function identify(path: string): Promise<string> {
  const { ino, mtimeMs, size } = await stat(path)
  if (size > MAX_FILE_BYTES) throw new Error(`${path} is larger than ${MAX_FILE_BYTES} bytes: no certificate nor key`)
  return `${ino}:${mtimeMs}:${size}`
}
