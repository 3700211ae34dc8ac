import jsonPatch, { type Operation } from 'fast-json-patch'
import { isDeepStrictEqual } from 'node:util'
import { Connection, type Answer, type Endpoint } from './load/connection.ts'

/** One review over a connection of its own. */
export async function ask(endpoint: Endpoint, review: string): Promise<Answer> {
  const connection = await Connection.open(endpoint, Buffer.from(review))
  try {
    return await connection.exchange()
  } finally {
    connection.close()
  }
}

interface Pod {
  spec: { containers: unknown[] }
}

/**
 * Undefined when an answer is right: it admits, its patch applies to the pod, and the pod then has the container and
 * every container that it had. Otherwise what is wrong: a fast wrong answer is worth nothing.
 */
export function mistakeIn({ status, body }: Answer, review: string, sidecar: unknown): string | undefined {
  if (status !== 200) return `status ${status}: ${body.toString().slice(0, 200)}`
  const { response } = JSON.parse(body.toString()) as { response: { allowed: boolean; patch?: string } }
  if (!response.allowed) return 'it denies'
  if (response.patch === undefined) return 'it patches nothing'
  const { request } = JSON.parse(review) as { request: { object: Pod } }
  const patch = JSON.parse(Buffer.from(response.patch, 'base64').toString()) as Operation[]
  const { containers } = jsonPatch.applyPatch(structuredClone(request.object), patch, true).newDocument.spec
  const expected = [...request.object.spec.containers, sidecar]
  const without = (list: unknown[]) => list.map(each => ({ ...(each as object), env: undefined }))
  return isDeepStrictEqual(without(containers), without(expected)) ? undefined : 'the pod has other containers then'
}
