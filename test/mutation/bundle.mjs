import { build } from 'esbuild'
import { GROUPS } from './groups.mjs'

/** One file of all tests of a group: a mutant costs one short process, not one per test file. */
const [name] = process.argv.slice(2)
const { tests } = GROUPS[name]
await build({
  stdin: {
    contents: tests.map(path => `await import('./${path}')`).join('\n'),
    resolveDir: process.cwd(),
    sourcefile: 'tests.mjs',
  },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  outfile: '.mutation/tests.mjs',
})
