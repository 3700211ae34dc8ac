import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const ROOT = new URL('../..', import.meta.url).pathname

/** Bundles all programs into `folder`, as they are shipped. */
export async function buildPrograms(folder: string): Promise<void> {
  await promisify(execFile)(process.execPath, ['build.mjs', folder], { cwd: ROOT })
}

/**
 * Why commands that need these programs cannot be run; false when all are there. Fits tap's `skip`. Rejects where CI=true:
 * there a missing program is a mistake of the machine.
 */
export async function lacksTools(...names: readonly string[]): Promise<string | false> {
  for (const name of names) {
    try {
      await promisify(execFile)(name, ['--version'])
    } catch (error) {
      if (process.env['CI'] === 'true') throw error
      return `the program \`${name}\` is not on PATH: install it`
    }
  }
  return false
}
