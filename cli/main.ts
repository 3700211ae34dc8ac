#!/usr/bin/env node
import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { COMMANDS } from './commands.ts'
import { dispatch } from './dispatch.ts'
import { launch } from './launch.ts'
import { VERSION } from './version.ts'

const action = dispatch(process.argv, COMMANDS, VERSION)
switch (action.kind) {
  case 'print':
    process.stdout.write(action.text)
    break
  case 'refuse':
    process.stderr.write(action.text)
    process.exitCode = action.exitCode
    break
  case 'run': {
    // Each command is a bundle of its own, so that the sidecar does not carry the decider's memory. npm starts us by a link.
    const bundle = join(dirname(realpathSync(process.argv[1] ?? '')), `${action.name}.cjs`)
    if (existsSync(bundle)) {
      launch(action.name, bundle, action.argv)
    } else {
      process.stderr.write(`hadr: ${action.name} is not part of this installation; build it with: npm run build\n`)
      process.exitCode = 1
    }
  }
}
