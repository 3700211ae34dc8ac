import type { FuzzTarget } from '../target.ts'
import { configuration } from './configuration.ts'
import { gitlab } from './gitlab.ts'
import { projectFiles } from './project-files.ts'
import { prometheus } from './prometheus.ts'
import { runnerMetrics } from './runner-metrics.ts'
import { webhook } from './webhook.ts'

export const TARGETS: readonly FuzzTarget[] = [webhook, gitlab, prometheus, projectFiles, configuration, runnerMetrics]
