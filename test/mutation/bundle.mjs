import { build } from 'esbuild'

/** All given test files and what they test in one script, so that a process evaluates it anew in a few milliseconds. */
await build({
  stdin: {
    contents: process.argv
      .slice(2)
      .map(path => `import './${path}'`)
      .join('\n'),
    resolveDir: '.',
    loader: 'ts',
  },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  packages: 'external',
  define: { 'import.meta.url': 'moduleUrl' },
  outfile: '.mutation/tests.cjs',
})
