import { type Command, Option } from 'commander'
import { createGitLabDesk } from '../../lib/gitlab/desk.ts'
import type { GitLabDesk } from '../../lib/gitlab/desk-types.ts'
import { EXIT_CONFIG } from '../../lib/service/exit.ts'
import { silentLog } from '../../lib/service/log.ts'
import { createTokenSource } from '../../lib/service/token-source.ts'
import { VERSION } from '../version.ts'
import { Stop, type Terminal } from './terminal.ts'

export interface ConnectionFlags {
  gitlabUrl: string
  project: string
  gitlabTokenFile?: string
  gitlabToken?: string
  gitlabCaFile?: string
}

const OPTIONS = [
  ['-u, --gitlab-url <url>', 'the GitLab, or its /api/v4', 'HADR_GITLAB_URL'],
  ['--project <id>', 'id or path of the HADR project', 'HADR_PROJECT'],
  ['--gitlab-token-file <file>', 'file that holds the token', 'HADR_GITLAB_TOKEN_FILE'],
  ['--gitlab-ca-file <file>', 'PEM certificates to trust besides the system’s', 'HADR_GITLAB_CA_FILE'],
] as const

/** What every command needs that works from a laptop. `HADR_GITLAB_TOKEN` is read where it is used, never printed. */
export function addConnectionOptions(command: Command, env: Terminal['env']): Command {
  for (const [flags, description, variable] of OPTIONS) {
    const option = new Option(flags, `${description} (env: ${variable})`)
    const given = env[variable]
    if (given !== undefined && given !== '') option.default(given, 'from the environment')
    command.addOption(option)
  }
  const seen = 'the token; other programs can see it: better in a file (env: HADR_GITLAB_TOKEN)'
  command.addOption(new Option('-t, --gitlab-token <token>', seen))
  return command
}

/** Throws Stop for what is missing or wrong. */
export async function connect(
  flags: Partial<ConnectionFlags>,
  terminal: Terminal,
): Promise<{ desk: GitLabDesk; project: string }> {
  const { gitlabUrl, project } = flags
  const missing = [
    ...(gitlabUrl === undefined ? ['--gitlab-url (or HADR_GITLAB_URL)'] : []),
    ...(project === undefined ? ['--project (or HADR_PROJECT)'] : []),
  ]
  if (gitlabUrl === undefined || project === undefined) {
    throw new Stop(`${missing.join(' and ')} is missing: say which GitLab and which HADR project`, EXIT_CONFIG)
  }
  if (flags.gitlabToken !== undefined) {
    terminal.err('Warning: a token among the arguments can be read by other programs; use --gitlab-token-file.\n')
  }
  const value =
    flags.gitlabToken ?? (flags.gitlabTokenFile === undefined ? terminal.env['HADR_GITLAB_TOKEN'] : undefined)
  const source = createTokenSource({
    ...(value === undefined ? {} : { value }),
    ...(value === undefined && flags.gitlabTokenFile !== undefined ? { file: flags.gitlabTokenFile } : {}),
    log: silentLog,
  })
  const reading = await source.read()
  if (reading.token === undefined) {
    const why = reading.problem === undefined ? '' : `: ${reading.problem}`
    throw new Stop(`there is no GitLab token${why}; give --gitlab-token-file or HADR_GITLAB_TOKEN`, EXIT_CONFIG)
  }
  try {
    const desk = createGitLabDesk({
      url: gitlabUrl,
      transport: await terminal.openTransport(flags.gitlabCaFile),
      token: () => source.token(),
      clock: terminal.clock,
      random: terminal.random,
      userAgent: `gitlab-runner-hadr-cli/${VERSION}`,
    })
    return { desk, project }
  } catch (error) {
    throw new Stop(error instanceof Error ? error.message : String(error), EXIT_CONFIG)
  }
}
