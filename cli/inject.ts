import { Command, Option } from 'commander'
import { readFile } from 'node:fs/promises'
import { text as readStream } from 'node:stream/consumers'
import { formatMistakes } from '../lib/service/config.ts'
import { EXIT_CONFIG, EXIT_USAGE } from '../lib/service/exit.ts'
import { readWebhookConfig } from '../webhook/config.ts'
import type { DecideOptions } from '../webhook/decide.ts'
import { injectText, ManifestError, uninjectText } from './inject/rewrite.ts'
import { VERSION } from './version.ts'

interface InjectFlags {
  filename: string
  config?: string
  uninject: boolean
}

/**
 * Writes the manifests to standard output with what the webhook would add, or without it; what was done to each pod goes
 * to standard error. Sets the exit code: 0, 2 for arguments and manifests that cannot be used, 78 for a configuration.
 */
export async function runInject(argv: readonly string[]): Promise<void> {
  const flags = parse(argv)
  try {
    const text = await read(flags.filename)
    const { text: result, notes } = flags.uninject ? uninjectText(text) : injectText(text, await options(flags))
    process.stdout.write(result)
    process.stderr.write(notes.map(note => `${note}\n`).join(''))
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof ManifestError)) throw error
    process.stderr.write(error instanceof Refusal ? `${error.message}\n` : `${flags.filename}: ${error.message}\n`)
    process.exitCode = error instanceof Refusal ? error.exitCode : EXIT_USAGE
  }
}

/** What cannot be worked with, and the exit code for it. */
class Refusal extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message)
  }
}

/** The cluster is not asked, so `native: auto` gives a container, which works everywhere. */
async function options({ config: file }: InjectFlags): Promise<DecideOptions> {
  if (file === undefined) throw new Refusal('--config is required: it says which image to inject', EXIT_USAGE)
  const result = readWebhookConfig(await read(file))
  if (!result.ok) throw new Refusal(formatMistakes(result.mistakes, file), EXIT_CONFIG)
  const { sidecar, namespace } = result.config
  return { sidecar, ownNamespace: namespace, nativeSidecars: false }
}

function parse(argv: readonly string[]): InjectFlags {
  return new Command('hadr inject')
    .description(
      'Adds the sidecar to the runners in manifests, as the webhook does at their creation: Pods, Deployments, StatefulSets, ' +
        'DaemonSets and Lists. Their namespace is taken as opted in.',
    )
    .addOption(
      new Option('-f, --filename <file>', 'YAML or JSON; - is standard input')
        .env('HADR_FILENAME')
        .makeOptionMandatory(),
    )
    .addOption(new Option('--config <file>', 'the webhook’s configuration file').env('HADR_CONFIG'))
    .addOption(new Option('--uninject', 'take the sidecar out again').env('HADR_UNINJECT').default(false))
    .version(VERSION)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_USAGE))
    .parse([...argv], { from: 'user' })
    .opts<InjectFlags>()
}

async function read(file: string): Promise<string> {
  try {
    return file === '-' ? await readStream(process.stdin) : await readFile(file, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Refusal(`${file} cannot be read: ${reason}`, EXIT_USAGE)
  }
}
