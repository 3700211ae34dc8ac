import { json, type Answer } from './answers.ts'
import { RESOURCES, type ResourceType } from './resources.ts'

const ROOT = '/openapi/v3'

/**
 * Of OpenAPI what kubectl asks before it writes: whether the server checks fields itself, as real ones do since 1.27.
 * There are no schemas. Undefined for any other path.
 */
export function answerOpenApi(pathname: string): Answer | undefined {
  if (pathname !== ROOT && !pathname.startsWith(`${ROOT}/`)) return undefined
  const types = Object.values(RESOURCES)
  const places = new Map<string, ResourceType[]>()
  for (const type of types) places.set(placeOf(type), [...(places.get(placeOf(type)) ?? []), type])
  if (pathname === ROOT) {
    const paths = [...places.keys()].map(place => [place, { serverRelativeURL: `${ROOT}/${place}` }])
    return json(200, { paths: Object.fromEntries(paths) as object })
  }
  const found = places.get(pathname.slice(ROOT.length + 1))
  if (!found) return undefined
  return json(200, {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.36.2' },
    paths: Object.fromEntries(found.map(type => [pathOf(type), { patch: patchOf(type) }])),
  })
}

function placeOf({ group, version }: ResourceType): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`
}

function pathOf(type: ResourceType): string {
  return `/${placeOf(type)}/${type.namespaced ? 'namespaces/{namespace}/' : ''}${type.plural}/{name}`
}

function patchOf({ group, version, kind }: ResourceType): object {
  return {
    'x-kubernetes-action': 'patch',
    'x-kubernetes-group-version-kind': { group, version, kind },
    parameters: [{ name: 'fieldValidation', in: 'query', schema: { type: 'string' } }],
    responses: { '200': { description: 'OK' } },
  }
}
