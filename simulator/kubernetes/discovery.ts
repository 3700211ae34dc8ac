import { json, text, type Answer } from './answers.ts'
import { answerOpenApi } from './openapi.ts'
import { RESOURCES } from './resources.ts'

const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']

/** What the server says about itself; undefined for a path that is about objects. */
export function answerDiscovery(method: string, pathname: string): Answer | undefined {
  if (method !== 'GET') return undefined
  switch (pathname) {
    case '/readyz':
    case '/livez':
    case '/healthz':
      return text(200, 'ok')
    case '/version':
      return json(200, { major: '1', minor: '36', gitVersion: 'v1.36.2', platform: 'linux/amd64' })
    case '/api':
      return json(200, {
        kind: 'APIVersions',
        versions: ['v1'],
        serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: 'kubernetes.default.svc' }],
      })
    case '/apis':
      return json(200, { kind: 'APIGroupList', apiVersion: 'v1', groups: groups() })
    default:
      return answerOpenApi(pathname) ?? resourceList(pathname)
  }
}

function groups(): object[] {
  const names = new Set(Object.values(RESOURCES).map(({ group }) => group))
  names.delete('')
  return [...names].map(name => {
    const version = { groupVersion: `${name}/v1`, version: 'v1' }
    return { name, versions: [version], preferredVersion: version }
  })
}

function resourceList(pathname: string): Answer | undefined {
  const group = pathname === '/api/v1' ? '' : /^\/apis\/([^/]+)\/v1$/.exec(pathname)?.[1]
  if (group === undefined) return undefined
  const types = Object.values(RESOURCES).filter(type => type.group === group)
  if (types.length === 0) return undefined
  return json(200, {
    kind: 'APIResourceList',
    ...(group !== '' && { apiVersion: 'v1' }),
    groupVersion: group === '' ? 'v1' : `${group}/v1`,
    resources: types.flatMap(({ plural, kind, namespaced, subresources }) => [
      { name: plural, singularName: kind.toLowerCase(), namespaced, kind, verbs: VERBS },
      ...subresources.map(subresource => ({
        name: `${plural}/${subresource}`,
        singularName: '',
        namespaced,
        ...(subresource === 'scale' ? { group: 'autoscaling', version: 'v1', kind: 'Scale' } : { kind }),
        verbs: ['get', 'patch', 'update'],
      })),
    ]),
  })
}
