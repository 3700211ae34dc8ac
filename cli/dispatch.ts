import { EXIT_USAGE } from '../lib/service/exit.ts'
import { nearMiss } from '../lib/service/near-miss.ts'
import type { CommandEntry } from './commands.ts'

export type Dispatch =
  /** Load the bundle of `name`; it reads `argv` by itself. */
  | { kind: 'run'; name: string; argv: string[] }
  | { kind: 'print'; text: string }
  | { kind: 'refuse'; text: string; exitCode: number }

/** What `hadr` is asked for; `argv` as `process.argv`. */
export function dispatch(argv: readonly string[], commands: readonly CommandEntry[], version: string): Dispatch {
  const [node = '', file = '', first, ...rest] = argv
  const names = commands.map(({ name }) => name)
  switch (first) {
    case undefined:
      return { kind: 'refuse', text: help(commands), exitCode: EXIT_USAGE }
    case '--version':
    case '-V':
      return { kind: 'print', text: `${version}\n` }
    case '--help':
    case '-h':
      return { kind: 'print', text: help(commands) }
    case 'help': {
      const [name, ...more] = rest
      if (name === undefined) return { kind: 'print', text: help(commands) }
      return names.includes(name)
        ? { kind: 'run', name, argv: [node, file, name, '--help', ...more] }
        : refuse(name, names)
    }
    default:
      return names.includes(first) ? { kind: 'run', name: first, argv: [...argv] } : refuse(first, names)
  }
}

function refuse(word: string, names: readonly string[]): Dispatch {
  const near = nearMiss(word, names)
  const what = word.startsWith('-') ? 'option' : 'command'
  const hint = near === undefined ? 'See hadr --help.' : `Did you mean hadr ${near}?`
  return { kind: 'refuse', text: `hadr: unknown ${what} ${word}. ${hint}\n`, exitCode: EXIT_USAGE }
}

function help(commands: readonly CommandEntry[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return `Usage: hadr <command> [options]

Keeps GitLab CI running when a Kubernetes cluster dies: moves the main runner tag to the stronger cluster.

Commands:
${commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')}

Options:
  --help, -h     this text; hadr <command> --help for the options of a command
  --version, -V  the version

Examples:
${commands.map(({ example }) => `  ${example}`).join('\n')}
`
}
