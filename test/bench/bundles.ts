import { build } from 'esbuild'
import { buildPrograms as buildShipped } from '../support/programs.ts'

const ROOT = new URL('../../', import.meta.url).pathname

/** The product as it is shipped and the servers beside it, bundled alike into `folder`. */
export async function buildPrograms(folder: string): Promise<void> {
  await buildShipped(folder)
  const at = (path: string) => `${ROOT}test/bench/${path}`
  await build({
    entryPoints: {
      floor: at('webhook/servers/floor.ts'),
      'clone-and-diff': at('webhook/servers/clone-and-diff.ts'),
      'load-generator': at('webhook/load/generator.ts'),
      bare: at('sidecar/bare.ts'),
    },
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    minify: true,
    keepNames: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    logLevel: 'warning',
  })
}
