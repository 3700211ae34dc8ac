import { Gauge, type Registry } from 'prom-client'

/** Registers `gitlab_runner_hadr_build_info{program,version,node} 1`. */
export function registerBuildInfo(registry: Registry, program: string, version: string): void {
  new Gauge({
    name: 'gitlab_runner_hadr_build_info',
    help: 'Always 1; the labels say which program and version runs, on which Node.js.',
    labelNames: ['program', 'version', 'node'],
    registers: [registry],
  }).set({ program, version, node: process.versions.node }, 1)
}
