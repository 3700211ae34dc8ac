import { Command, Option } from 'commander'
import type { LogLevel } from '../../lib/service/log.ts'
import { kubeconfigOption } from '../kubeconfig.ts'
import { logLevelOption } from '../program.ts'
import { VERSION } from '../version.ts'

export interface DeciderFlags {
  config: string
  kubeconfig?: string
  dryRun: boolean
  /** commander's name for the absence of `--no-lease`. */
  lease: boolean
  listen?: string
  logLevel: LogLevel
}

/** The decider's flags, for the parser and for the documentation. */
export function deciderCommand(): Command {
  return new Command('hadr decider')
    .description(
      'Asks Prometheus, shares this cluster’s status through GitLab, and moves the main tag to the stronger cluster.',
    )
    .addOption(new Option('--config <file>', 'configuration file (YAML)').env('HADR_CONFIG').makeOptionMandatory())
    .addOption(kubeconfigOption())
    .addOption(new Option('--dry-run', 'decide and tell, but write nothing').env('HADR_DRY_RUN').default(false))
    .addOption(new Option('--no-lease', 'a single process that leads without asking Kubernetes').env('HADR_NO_LEASE'))
    .addOption(new Option('--listen <address>', 'instead of the configuration’s listen').env('HADR_LISTEN'))
    .addOption(logLevelOption())
    .version(VERSION)
}
