// The bundle's entry: it runs as soon as it is loaded, by `node dist/sidecar.cjs` or by `hadr sidecar`.
import { runSidecar } from './sidecar.ts'

const [word, ...rest] = process.argv.slice(2)
const argv = word === undefined || word === 'sidecar' ? rest : [word, ...rest]

void runSidecar(argv, { ...process.env, HADR_VERSION: process.env['HADR_VERSION'] }).then(() => process.exit(0))
