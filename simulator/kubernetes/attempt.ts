import type { ParsedPath } from './resources.ts'

/** As RBAC names it. */
export function verbOf(method: string, parsed: ParsedPath | undefined, query: URLSearchParams): string {
  const named = parsed?.name !== undefined
  switch (method) {
    case 'GET':
      if (named) return 'get'
      return ['1', 'true'].includes(query.get('watch') ?? '') ? 'watch' : 'list'
    case 'POST':
      return named ? 'post-to-a-name' : 'create'
    case 'PUT':
      return named ? 'update' : 'put-to-a-collection'
    case 'PATCH':
      return named ? 'patch' : 'patch-of-a-collection'
    case 'DELETE':
      return named ? 'delete' : 'deletecollection'
    default:
      return method.toLowerCase()
  }
}

/** With its subresource, as RBAC names it. */
export function resourceOf({ plural, subresource }: ParsedPath): string {
  return subresource === undefined ? plural : `${plural}/${subresource}`
}

/** A list or watch of one object is authorized by its name. */
export function namedByField(query: URLSearchParams): string | undefined {
  return /^metadata\.name==?([^,]+)$/.exec(query.get('fieldSelector') ?? '')?.[1]
}
