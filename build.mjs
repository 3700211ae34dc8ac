// One bundled file per program: a bundle starts faster and takes far less memory than a tree of packages.
// node build.mjs [FOLDER], by default dist
import { build } from 'esbuild'
import { existsSync } from 'node:fs'
import { chmod, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

const outdir = process.argv[2] ?? 'dist'
const programs = {
  hadr: 'cli/main.ts',
  sidecar: 'cli/sidecar-main.ts',
  decider: 'cli/decider-main.ts',
  webhook: 'cli/webhook-main.ts',
  inject: 'cli/inject-main.ts',
  status: 'cli/status-main.ts',
  switch: 'cli/switch-main.ts',
  pause: 'cli/pause-main.ts',
  resume: 'cli/resume-main.ts',
  doctor: 'cli/doctor-main.ts',
  demo: 'cli/demo-main.ts',
  'simulated-runner': 'simulator/runner/main.ts',
}
const present = Object.fromEntries(Object.entries(programs).filter(([, source]) => existsSync(source)))
const { version } = JSON.parse(await readFile('package.json', 'utf8'))
const statusPage = await readFile('decider/status/page.html', 'utf8')

/**
 * Of the Kubernetes client we use the kubeconfig alone. Its modules only define things, but do not say so; without their word
 * a thousand models of API objects would be loaded with it.
 */
const pureKubernetesClient = {
  name: 'pure-kubernetes-client',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^@kubernetes\/client-node$|^\./ }, async ({ path, pluginData, ...from }) => {
      const isInside = from.importer.includes('/@kubernetes/client-node/')
      if (pluginData?.seen || (path.startsWith('.') && !isInside)) return undefined
      const found = await resolve(path, { ...from, pluginData: { seen: true } })
      return { ...found, sideEffects: false }
    })
  },
}

await rm(outdir, { recursive: true, force: true })
await build({
  entryPoints: present,
  outdir,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  minifyWhitespace: true,
  minifySyntax: true,
  // Names stay for stack traces. With `keepNames` instead, naming every closure took a tenth of the webhook's time.
  minifyIdentifiers: false,
  sourcemap: false,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  plugins: [pureKubernetesClient],
  define: {
    'process.env.HADR_VERSION': JSON.stringify(version),
    'process.env.HADR_STATUS_PAGE': JSON.stringify(statusPage),
  },
  logLevel: 'warning',
})
if (present.hadr) await chmod(join(outdir, 'hadr.cjs'), 0o755)
