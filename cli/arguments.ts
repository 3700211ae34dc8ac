/**
 * What a program's own parser reads, whichever way it was started: after the command's name when `hadr` loaded it
 * (`hadr sidecar --x`), else after the file's (`node dist/sidecar.cjs --x`).
 */
export function commandArguments(argv: readonly string[], name: string): string[] {
  return argv.slice(argv[2] === name ? 3 : 2)
}
