import type { Account } from '../access.ts'
import { randomUid, type Context } from '../context.ts'
import type { Route } from '../resources.ts'
import { asString, clone, metadataOf, type KubeObject } from '../values.ts'

/** The creation that is under review. */
export interface Creation {
  route: Route
  account: Account
  query: URLSearchParams
}

/** JSON as Go writes it: `<`, `>`, `&` and two line separators escaped, a newline at the end. */
export function escaped(review: object): string {
  const unsafe = /[<>&\u2028\u2029]/g
  const text = JSON.stringify(review).replace(
    unsafe,
    letter => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return `${text}\n`
}

/** The `request` of a review of this creation. */
export function requestOf(context: Context, { route, account, query }: Creation, pod: KubeObject): KubeObject {
  const kind = { group: '', version: 'v1', kind: 'Pod' }
  const resource = { group: '', version: 'v1', resource: 'pods' }
  const name = givenName(pod)
  const dryRun = query.getAll('dryRun').includes('All')
  const manager = query.get('fieldManager')
  const validation = query.get('fieldValidation')
  return {
    uid: randomUid(context.random),
    kind,
    resource,
    requestKind: kind,
    requestResource: resource,
    ...(name !== undefined && { name }),
    namespace: route.namespace,
    operation: 'CREATE',
    userInfo: { ...account.user },
    object: clone(pod),
    oldObject: null,
    dryRun,
    options: {
      kind: 'CreateOptions',
      apiVersion: 'meta.k8s.io/v1',
      ...(dryRun && { dryRun: ['All'] }),
      ...(manager !== null && { fieldManager: manager }),
      ...(validation !== null && { fieldValidation: validation }),
    },
  }
}

/** Absent with generateName: the name is made up after admission. */
export function givenName(pod: KubeObject): string | undefined {
  return asString(metadataOf(pod)['name'])
}
