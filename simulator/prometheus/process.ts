import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parse } from 'yaml'
import { withDeadline, type Clock } from '../../lib/service/clock.ts'

export interface PrometheusProcessOptions {
  clock: Clock
  /** Holds the configuration and the data; made when missing, left behind after `close`. */
  folder: string
  /** The value of `scrape_configs`: a list, or YAML text of one. Name the files of `file_sd_configs` absolutely. */
  scrapeConfigs: string | readonly object[]
  scrapeIntervalMs: number
  /** Absolute paths of rule files, evaluated as often as targets are scraped. */
  ruleFiles?: readonly string[]
  /** A name on PATH or a path. Default `prometheus`. */
  binary?: string
}

export interface PrometheusProcess {
  /** `http://127.0.0.1:PORT`, answering queries. */
  url: string
  /** Ends it, by force after five seconds; safe to call twice. */
  close(): Promise<void>
  /** SIGKILL, as when its machine is lost; resolves when it is gone. */
  kill(): Promise<void>
}

const STARTS_WITHIN_MS = 20_000
const STOPS_WITHIN_MS = 5_000

/** Such as `2.42.0+ds`; undefined when there is no such program. */
export async function prometheusVersion(binary = 'prometheus'): Promise<string | undefined> {
  const child = spawn(binary, ['--version'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const started = await once(child, 'spawn').then(
    () => true,
    () => false,
  )
  if (!started) return undefined
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (text += String(chunk)))
  await once(child, 'close')
  return /version (\S+)/.exec(text)?.[1]
}

/**
 * Starts a real Prometheus on a free loopback port and resolves when it answers queries; its first scrape follows about
 * five seconds later (Prometheus gathers targets that long). It ends with this process.
 * Rejects with its last log lines when it cannot start.
 */
export async function startPrometheusProcess(options: PrometheusProcessOptions): Promise<PrometheusProcess> {
  const { clock, folder, binary = 'prometheus' } = options
  await mkdir(folder, { recursive: true })
  const configuration = join(folder, 'prometheus.yml')
  // JSON is YAML.
  await writeFile(configuration, JSON.stringify(configurationOf(options), null, 2))

  const child = spawn(
    binary,
    [
      `--config.file=${configuration}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      '--web.listen-address=127.0.0.1:0',
      '--web.external-url=http://localhost/',
      '--web.route-prefix=/',
      '--log.level=info',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const killOnExit = () => child.kill('SIGKILL')
  process.once('exit', killOnExit)
  const lastLines: string[] = []
  const ended = new Promise<string>(resolve => {
    child.once('error', error => resolve(`${binary} did not start: ${error.message}`))
    child.once('close', () => resolve(`${binary} ended:\n${lastLines.join('\n')}`))
  })
  void ended.then(() => process.off('exit', killOnExit))

  const ready = new Promise<string>(resolve => {
    let address: string | undefined
    let serving = false
    createInterface({ input: child.stderr }).on('line', line => {
      lastLines.push(line)
      if (lastLines.length > 10) lastLines.shift()
      address ??= /msg="Listening on" address=(\S+)/.exec(line)?.[1]
      // The two come in either order.
      serving ||= line.includes('Server is ready')
      if (address !== undefined && serving) resolve(`http://${address}`)
    })
  })
  const close = async () => {
    child.kill('SIGTERM')
    const cancel = clock.after(STOPS_WITHIN_MS, killOnExit)
    await ended
    cancel()
  }
  const failed = ended.then(why => Promise.reject(new Error(why)))
  failed.catch(() => undefined)
  try {
    const url = await withDeadline(clock, STARTS_WITHIN_MS, signal =>
      Promise.race([
        ready,
        failed,
        once(signal, 'abort').then(() => {
          throw new Error(`${binary} was not ready within ${STARTS_WITHIN_MS} ms:\n${lastLines.join('\n')}`)
        }),
      ]),
    )
    const kill = async () => {
      killOnExit()
      await ended
    }
    return { url, close, kill }
  } catch (error) {
    await close()
    throw error
  }
}

function configurationOf({ scrapeConfigs, scrapeIntervalMs, ruleFiles = [] }: PrometheusProcessOptions): object {
  const interval = `${scrapeIntervalMs}ms`
  return {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: ruleFiles,
    scrape_configs: typeof scrapeConfigs === 'string' ? (parse(scrapeConfigs) as unknown) : scrapeConfigs,
  }
}
