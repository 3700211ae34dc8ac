import jsonPatch from 'fast-json-patch'
import { applyPatch as applyRfc6902 } from 'rfc6902'
import type { Addition } from '../../webhook/check.ts'

/* Two engines for JSON Patch (RFC 6902) by different authors. Both throw for a patch that does not apply. */

export function withRfc6902(pod: unknown, patch: readonly Addition[]): unknown {
  const copy = structuredClone({ pod })
  const errors = applyRfc6902(
    copy.pod,
    patch.map(({ op, path, value }) => ({ op, path, value: structuredClone(value) })),
  )
  if (errors.some(error => error !== null)) throw new Error(`a step of the patch does not apply: ${String(errors)}`)
  return copy.pod
}

/** Refuses the key `__proto__` anywhere in the pod. */
export function withFastJsonPatch(pod: unknown, patch: readonly Addition[]): unknown {
  return jsonPatch.applyPatch(structuredClone(pod), structuredClone([...patch]), true).newDocument
}
