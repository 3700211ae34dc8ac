import type { Test } from 'tap'
import { systemClock } from '../../lib/service/clock.ts'
import {
  prometheusVersion,
  startPrometheusProcess,
  type PrometheusProcess,
  type PrometheusProcessOptions,
} from '../../simulator/prometheus/process.ts'

/**
 * True when a real Prometheus can be started. Otherwise the test is skipped visibly, and fails where CI=true: there a
 * missing program is a mistake of the machine. `if (!(await requirePrometheus(t))) return`
 */
export const requirePrometheus = (t: Test): Promise<boolean> => requireProgram(t, 'prometheus')

/** The same for promtool, which comes with it. */
export const requirePromtool = (t: Test): Promise<boolean> => requireProgram(t, 'promtool')

async function requireProgram(t: Test, program: string): Promise<boolean> {
  if ((await prometheusVersion(program)) !== undefined) return true
  const message = `the program \`${program}\` is not on PATH (Debian: apt-get install prometheus)`
  if (process.env['CI'] === 'true') t.fail(message)
  else t.pass(message, { skip: message })
  return false
}

/** A real Prometheus that ends with the test; its data lies in the test's own folder. */
export async function startPrometheus(
  t: Test,
  options: Pick<PrometheusProcessOptions, 'scrapeConfigs' | 'scrapeIntervalMs'>,
): Promise<PrometheusProcess> {
  const prometheus = await startPrometheusProcess({ ...options, clock: systemClock, folder: t.testdir() })
  t.teardown(() => prometheus.close())
  return prometheus
}
