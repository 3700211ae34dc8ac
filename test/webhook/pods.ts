import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readWebhookConfig, type SidecarConfig } from '../../webhook/config.ts'
import type { DecideOptions } from '../../webhook/decide.ts'
import type { Injection } from '../../webhook/inject.ts'
import type { TargetRequest } from '../../webhook/target.ts'

/**
 * Pods and what must become of them, as pairs of files. `name.json` holds the pod as it is admitted, and what differs
 * from the usual configuration (null takes a setting out); `name.expected.json` the patch or the reason.
 */
const FOLDER = 'test/webhook/pods'

export interface PodCase {
  name: string
  pod: unknown
  /** The file's text, for what a JSON parser does not keep. */
  text: string
  options: DecideOptions
  expected: Injection
  expectedFile: string
}

export const CREATE_POD: TargetRequest = {
  operation: 'CREATE',
  group: '',
  version: 'v1',
  kind: 'Pod',
  subResource: '',
  namespace: 'team-runners',
}

/** The design's example, changed by `changes`. */
export function sidecarConfig(changes: Readonly<Record<string, unknown>> = {}): SidecarConfig {
  const sidecar: Readonly<Record<string, unknown>> = {
    image: 'registry.example.com/gitlab-runner-hadr:1.0.0',
    gitlabUrl: 'https://gitlab.example.com',
    gitlabGroupId: 33,
    tokenSecret: 'gitlab-runner-hadr',
    ...changes,
  }
  const given = Object.fromEntries(Object.entries(sidecar).filter(([, value]) => value !== null))
  const result = readWebhookConfig(JSON.stringify({ sidecar: given }))
  if (!result.ok) throw new Error(JSON.stringify(result.mistakes))
  return result.config.sidecar
}

export function decideOptions(changes: Readonly<Record<string, unknown>> = {}, nativeSidecars = false): DecideOptions {
  return { sidecar: sidecarConfig(changes), nativeSidecars, ownNamespace: 'gitlab-runner-hadr' }
}

/** A pod as an API server hands it on: it leaves out what is null. */
export function asArrived(pod: unknown): Record<string, unknown> {
  const { metadata, spec, ...rest } = pod as { metadata?: object; spec?: object }
  const given = (part: object = {}) => Object.fromEntries(Object.entries(part).filter(([, value]) => value !== null))
  return { ...rest, metadata: given(metadata), spec: given(spec) }
}

export function readPodCases(): PodCase[] {
  return readdirSync(FOLDER)
    .filter(file => file.endsWith('.json') && !file.endsWith('.expected.json'))
    .map(file => {
      const text = readFileSync(join(FOLDER, file), 'utf8')
      const input = JSON.parse(text) as {
        pod: unknown
        sidecar?: Record<string, unknown>
        nativeSidecars?: boolean
      }
      const name = file.replace(/\.json$/, '')
      const expectedFile = join(FOLDER, `${name}.expected.json`)
      return {
        name,
        pod: input.pod,
        text,
        options: decideOptions(input.sidecar, input.nativeSidecars),
        expected: JSON.parse(readFileSync(expectedFile, 'utf8')) as Injection,
        expectedFile,
      }
    })
}
