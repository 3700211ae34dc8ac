import type { Command, Option } from 'commander'
import { deciderCommand } from '../../cli/decider/flags.ts'
import { SIDECAR_FLAGS } from '../../cli/sidecar-options.ts'
import { webhookCommand } from '../../cli/webhook.ts'
import { deciderConfigSchema } from '../../decider/config.ts'
import { webhookConfigSchema } from '../../webhook/config.ts'
import { rowsOf } from './schema-rows.ts'

const INTRODUCTION = `# Configuration

Made from the code by \`npm run generate\`: the files of the decider and of the webhook, and the flags of the programs that run
in clusters. Those of the commands for people are in [operations.md](operations.md) and in \`hadr <command> --help\`.

- A file is YAML, one document. A wrong one is refused as a whole, with every mistake, its line and the rule, and exit code 78.
- A flag wins over its variable, a variable over the file and the default.
- A token is best in a file: it is read again when it changes, so that a rotation needs no restart. It may also be in
  \`HADR_GITLAB_TOKEN\`. It is never printed.
- The example files are [manifests/decider/decider.yaml](../manifests/decider/decider.yaml) and
  [manifests/base/webhook.yaml](../manifests/base/webhook.yaml).
`

/** The configuration reference, in Markdown. */
export function configurationPage(): string {
  return [
    INTRODUCTION,
    '## hadr decider',
    `What the words mean is in [decider.md](decider.md). One of \`gitlab.group\`, \`gitlab.runnersProject\` and \`gitlab.instance\`
says whose runners are moved. Main tags, clusters' names and tags, and the strength mode must be the same in all deciders of a
pool; the rest may differ. Pools and the profile change while it runs, other keys with a restart.`,
    keyTable(deciderConfigSchema),
    '### Flags of the decider',
    flagTable(deciderCommand()),
    '## hadr webhook',
    'What it does to which pod, and the annotations by which a pod overrides some of this, is in [webhook.md](webhook.md). `hadr inject --config` reads the same file.',
    keyTable(webhookConfigSchema),
    '### Flags of the webhook',
    flagTable(webhookCommand()),
    '## hadr sidecar',
    `It has no file: the webhook gives it its flags. A wrong value is logged and its default used, because a sidecar that ends would
stop its runner. \`POD_NAME\` (else \`HOSTNAME\`), \`POD_NAMESPACE\` and \`POD_IP\` become labels of its metrics. More in
[sidecar.md](sidecar.md).`,
    sidecarTable(),
    '',
  ].join('\n\n')
}

type Row = readonly string[]

function keyTable(schema: object): string {
  const rows = rowsOf(schema).map(({ key, value, fallback, meaning }) => [`\`${key}\``, value, fallback, meaning])
  return table(['key', 'value', 'default', 'meaning'], rows)
}

function flagTable(command: Command): string {
  const shown = command.options.filter(({ hidden, envVar }) => !hidden && envVar !== undefined)
  return table(['flag', 'variable', 'default', 'meaning'], shown.map(flagRow))
}

function flagRow({ flags, envVar, defaultValue, mandatory, negate, description }: Option): Row {
  const isValue = !negate && (typeof defaultValue === 'string' || typeof defaultValue === 'number')
  const fallback = mandatory ? 'required' : isValue ? `\`${defaultValue}\`` : ''
  return [`\`${flags}\``, `\`${envVar ?? ''}\``, fallback, description]
}

function sidecarTable(): string {
  const rows = Object.values(SIDECAR_FLAGS).map(flag => [
    `\`${flag.flags}\``,
    flag.env.map(name => `\`${name}\``).join(', '),
    'fallback' in flag ? `\`${flag.fallback}\`` : '',
    flag.describe,
  ])
  return table(['flag', 'variable', 'default', 'meaning'], rows)
}

function table(head: Row, rows: readonly Row[]): string {
  const line = (cells: Row) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
