import type { FuzzTarget } from '../target.ts'
import { configuration } from './configuration.ts'
import { projectFiles } from './project-files.ts'
import { prometheus } from './prometheus.ts'
import { runnerMetrics } from './runner-metrics.ts'
import { webhook } from './webhook.ts'

export const TARGETS: readonly FuzzTarget[] = [webhook, prometheus, projectFiles, configuration, runnerMetrics]
