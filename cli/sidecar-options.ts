import { Command, CommanderError, Option } from 'commander'
import { parseListenAddress, type ListenAddress } from '../lib/service/listen-address.ts'
import { LOG_LEVELS, type LogLevel } from '../lib/service/log.ts'

/** The sidecar's settings as flags, environment and defaults make them. */
export interface SidecarSettings {
  gitlabUrl: string | undefined
  groupId: string | undefined
  runnerIds: readonly number[]
  token: string | undefined
  tokenFile: string | undefined
  caFile: string | undefined
  runnersPerList: number
  statusCheckSeconds: number
  listen: ListenAddress
  runnerMetricsUrl: string
  logLevel: LogLevel
  timeScale: number
}

export type ParsedSidecar =
  | { run: false }
  /** `problems` name each mistake, its rule and what is used instead. They never hold a token. */
  | { run: true; settings: SidecarSettings; problems: readonly string[]; tokenFromArgument: boolean }

export type Env = Readonly<Record<string, string | undefined>>

/** A value's reader throws this with the rule that was broken. */
class RuleError extends Error {}

interface Setting {
  flags: string
  /** The first that is set counts. */
  env: readonly string[]
  describe: string
  fallback?: string
  /** Never shown: it may hold a secret. */
  hidden?: true
  /** Repeated flags add up to a comma list. */
  list?: true
}

/** Every flag, its variables and its default. */
export const SIDECAR_FLAGS = {
  gitlabUrl: {
    flags: '-u, --gitlab-url <url>',
    env: ['HADR_GITLAB_URL'],
    describe: 'the GitLab or its /api/v4',
    hidden: true,
  },
  groupId: {
    flags: '-i, --gitlab-group-id <id>',
    env: ['HADR_GITLAB_GROUP_ID'],
    describe: 'id or full path of the group that owns the runner',
  },
  runnerIds: {
    flags: '--runner-id <id>',
    env: ['HADR_RUNNER_ID'],
    describe: 'id of this runner in GitLab, so that it need not be searched; repeatable, or a comma list',
    list: true,
  },
  token: {
    flags: '-t, --gitlab-token <token>',
    env: ['HADR_GITLAB_TOKEN'],
    describe: 'GitLab token; better in a file, for arguments can be read by others',
    hidden: true,
  },
  tokenFile: {
    flags: '--gitlab-token-file <path>',
    env: ['HADR_GITLAB_TOKEN_FILE'],
    describe: 'file with the GitLab token, read again when it changes; without any token local facts decide',
  },
  caFile: {
    flags: '--gitlab-ca-file <path>',
    env: ['HADR_GITLAB_CA_FILE'],
    describe: "PEM certificates that are trusted besides the system's",
  },
  runnersPerList: {
    flags: '-r, --runners-per-list <n>',
    env: ['HADR_RUNNERS_PER_LIST'],
    describe: 'runners per page while searching, 1 to 100',
    fallback: '100',
  },
  statusCheckSeconds: {
    flags: '-s, --status-check-interval <seconds>',
    env: ['HADR_STATUS_CHECK_INTERVAL'],
    describe: 'shortest time between two questions to GitLab, 1 to 3600',
    fallback: '60',
  },
  listen: {
    flags: '--listen <address>',
    env: ['HADR_LISTEN', 'METRICS_SIDECAR_PORT'],
    describe: 'where /metrics, /livez, /readyz and /healthz are served',
    fallback: ':8080',
  },
  runnerMetricsUrl: {
    flags: '--runner-metrics-url <url>',
    env: ['HADR_RUNNER_METRICS_URL'],
    describe: "the runner's own metrics",
    fallback: 'http://127.0.0.1:9252/metrics',
    hidden: true,
  },
  logLevel: {
    flags: '--log-level <level>',
    env: ['HADR_LOG_LEVEL'],
    describe: LOG_LEVELS.join(', '),
    fallback: 'info',
  },
  timeScale: {
    flags: '--time-scale <factor>',
    env: ['HADR_TIME_SCALE'],
    describe: 'multiplies all intervals, for demonstrations and tests',
    fallback: '1',
  },
} as const satisfies Record<string, Setting>

type SettingName = keyof typeof SIDECAR_FLAGS
type DefaultedName = {
  [Name in SettingName]: (typeof SIDECAR_FLAGS)[Name] extends { fallback: string } ? Name : never
}[SettingName]

/**
 * Reads arguments (without the program's name and the word `sidecar`) and environment. A mistake never stops the
 * sidecar: its exit would put the runner's pod into a crash loop. Prints help or version with `print`.
 */
export function parseSidecar(
  argv: readonly string[],
  env: Env,
  version: string,
  print: (text: string) => void,
): ParsedSidecar {
  const problems: string[] = []
  const given = readArguments(argv, version, print, problems)
  if (given === 'printed') return { run: false }

  const read = <T>(name: SettingName, parse: (text: string) => T): T | undefined => {
    const setting: Setting = SIDECAR_FLAGS[name]
    const variable = setting.env.find(key => (env[key] ?? '') !== '')
    const source = given[name] === undefined ? variable : setting.flags.replace(/^-\w, | <.*$/g, '')
    const text = given[name] ?? (variable === undefined ? undefined : env[variable])
    if (text !== undefined && source !== undefined) {
      try {
        return parse(text.trim())
      } catch (error) {
        const value = setting.hidden ? '' : ` ${JSON.stringify(text)}`
        const instead = setting.fallback === undefined ? 'it is ignored' : `${setting.fallback} is used`
        problems.push(`${source}${value}: ${error instanceof Error ? error.message : String(error)}; ${instead}`)
      }
    }
    return undefined
  }
  const orDefault = <T>(name: DefaultedName, parse: (text: string) => T): T =>
    read(name, parse) ?? parse(SIDECAR_FLAGS[name].fallback)

  const settings: SidecarSettings = {
    gitlabUrl: read('gitlabUrl', httpUrl),
    groupId: read('groupId', groupId),
    runnerIds: read('runnerIds', idList) ?? [],
    token: read('token', nonEmpty),
    tokenFile: read('tokenFile', nonEmpty),
    caFile: read('caFile', nonEmpty),
    runnersPerList: orDefault('runnersPerList', integer(1, 100)),
    statusCheckSeconds: orDefault('statusCheckSeconds', number(1, 3_600)),
    listen: orDefault('listen', listenAddress),
    runnerMetricsUrl: orDefault('runnerMetricsUrl', httpUrl),
    logLevel: orDefault('logLevel', logLevel),
    timeScale: orDefault('timeScale', number(0.001, 1_000)),
  }
  return { run: true, settings, problems, tokenFromArgument: given.token !== undefined }
}

type Given = Partial<Record<SettingName, string>>

function readArguments(
  argv: readonly string[],
  version: string,
  print: (text: string) => void,
  problems: string[],
): Given | 'printed' {
  const given: Given = {}
  const program = new Command('hadr sidecar')
    .description("Says, as Prometheus metrics, whether this pod's GitLab runner can take jobs.")
    .version(version, '-V, --version')
    .helpOption('-h, --help')
    .allowUnknownOption()
    .allowExcessArguments()
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: () => undefined })
  for (const [name, setting] of Object.entries(SIDECAR_FLAGS) as [SettingName, Setting][]) {
    const note = setting.fallback === undefined ? '' : `; default ${setting.fallback}`
    const option = new Option(setting.flags, `${setting.describe} (env ${setting.env.join(', ')}${note})`)
    program.addOption(
      option.argParser((value: string) => {
        const before = setting.list === true ? given[name] : undefined
        given[name] = before === undefined ? value : `${before},${value}`
      }),
    )
  }
  try {
    program.parse([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.code === 'commander.helpDisplayed' || error.code === 'commander.version') return 'printed'
    // The only other mistake that the parser can see: the last flag has no value.
    problems.push(`${argv.at(-1) ?? ''}: a value is missing; it is ignored`)
    return readArguments(argv.slice(0, -1), version, print, problems)
  }
  // Names only: an unknown flag's value may be a secret.
  const unknown = program.args.filter(argument => argument.startsWith('-')).map(flag => flag.replace(/=.*$/s, ''))
  if (unknown.length > 0) problems.push(`${unknown.join(', ')}: no such flag; ignored`)
  else if (program.args.length > 0) problems.push(`${program.args.length} arguments belong to no flag; ignored`)
  return given
}

function nonEmpty(text: string): string {
  if (text === '') throw new RuleError('must not be empty')
  return text
}

function httpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new RuleError('must be an http or https URL')
  if (url.username !== '' || url.password !== '') throw new RuleError('must not hold a user or password')
  return text
}

function groupId(text: string): string {
  if (!/^[\w.-]+(?:\/[\w.-]+)*$/.test(text)) throw new RuleError("must be a group's number or full path")
  return text
}

function idList(text: string): readonly number[] {
  const parts = text.split(',').map(part => part.trim())
  if (!parts.every(part => /^[1-9]\d{0,14}$/.test(part))) throw new RuleError('must be numbers, separated by commas')
  return [...new Set(parts.map(Number))]
}

function integer(least: number, most: number): (text: string) => number {
  return text => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    if (!(value >= least && value <= most)) throw new RuleError(`must be a whole number from ${least} to ${most}`)
    return value
  }
}

function number(least: number, most: number): (text: string) => number {
  return text => {
    const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : NaN
    if (!(value >= least && value <= most)) throw new RuleError(`must be a number from ${least} to ${most}`)
    return value
  }
}

function listenAddress(text: string): ListenAddress {
  const address = parseListenAddress(text)
  if (address === undefined) throw new RuleError('must be a port, :port or host:port')
  return address
}

function logLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find(known => known === text)
  if (level === undefined) throw new RuleError(`must be one of ${LOG_LEVELS.join(', ')}`)
  return level
}
