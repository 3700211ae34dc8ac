import { refusals } from './answers.ts'
import { json, type Answer } from './answers.ts'
import { asRecord, asString, type KubeObject } from './values.ts'

export interface User {
  username: string
  uid?: string
  groups?: readonly string[]
}

/** One rule of a Role; `resourceNames` cannot cover `create` and `list`, as in a real server. */
export interface Rule {
  apiGroups: readonly string[]
  /** `pods`, `deployments/scale`, `*`. */
  resources: readonly string[]
  verbs: readonly string[]
  resourceNames?: readonly string[]
}

/** A role and its binding in one. Without `namespace` it holds everywhere. */
export interface Grant {
  /** Name of the role and of its binding. */
  role: string
  namespace?: string
  rules: readonly Rule[]
}

/** What somebody wants to do; `resource` with its subresource: `deployments/scale`. */
export interface Attempt {
  verb: string
  group: string
  resource: string
  namespace: string
  name?: string
}

interface Account {
  user: User
  grants: readonly Grant[] | 'everything'
}

const ANONYMOUS: Account = { user: { username: 'system:anonymous', groups: ['system:unauthenticated'] }, grants: [] }
const ADMIN: Account = {
  user: { username: 'admin', uid: 'admin', groups: ['system:masters', 'system:authenticated'] },
  grants: 'everything',
}

/** Bearer tokens and what their users may do. */
export class Access {
  /** False: nobody is refused; a token that nobody knows still is. */
  enforced = false
  readonly #accounts = new Map<string, Account>()

  addToken(token: string, user: User, grants: readonly Grant[] | 'everything'): void {
    this.#accounts.set(token, { user, grants })
  }

  removeToken(token: string): void {
    this.#accounts.delete(token)
  }

  /** Throws 401 for a token that nobody knows. Without a token: anonymous, or the administrator while nothing is enforced. */
  identify(authorization: string | undefined): Account {
    if (authorization === undefined) return this.enforced ? ANONYMOUS : ADMIN
    const token = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1]
    const account = token === undefined ? undefined : this.#accounts.get(token)
    if (!account) throw refusals.unauthorized()
    return account
  }

  /** The grant that allows it, true where none is needed, undefined when it is forbidden. */
  allows(account: Account, attempt: Attempt): Grant | true | undefined {
    if (!this.enforced || account.grants === 'everything') return true
    return account.grants.find(
      ({ namespace, rules }) =>
        (namespace === undefined || namespace === attempt.namespace) && rules.some(rule => covers(rule, attempt)),
    )
  }

  /** Throws 403 in the server's words. */
  check(account: Account, attempt: Attempt): void {
    if (this.allows(account, attempt) !== undefined) return
    const { verb, group, resource, namespace, name } = attempt
    const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`
    const why = `User "${account.user.username}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`
    throw refusals.forbidden({ group, plural: resource.split('/')[0] ?? '' }, name, why)
  }

  /** Answers a SelfSubjectAccessReview. */
  review(account: Account, body: KubeObject): Answer {
    const spec = asRecord(body['spec']) ?? {}
    const wanted = asRecord(spec['resourceAttributes']) ?? {}
    const subresource = asString(wanted['subresource'])
    const name = asString(wanted['name'])
    const grant = this.allows(account, {
      verb: asString(wanted['verb']) ?? '',
      group: asString(wanted['group']) ?? '',
      resource: `${asString(wanted['resource']) ?? ''}${subresource === undefined ? '' : `/${subresource}`}`,
      namespace: asString(wanted['namespace']) ?? '',
      ...(name !== undefined && name !== '' && { name }),
    })
    const reason = grant === undefined || grant === true ? undefined : reasonOf(grant, account.user)
    return json(201, {
      kind: 'SelfSubjectAccessReview',
      apiVersion: 'authorization.k8s.io/v1',
      metadata: {},
      spec,
      status: { allowed: grant !== undefined, ...(reason !== undefined && { reason }) },
    })
  }
}

export type { Account }

function covers(rule: Rule, { verb, group, resource, name }: Attempt): boolean {
  const has = (words: readonly string[], word: string) => words.includes('*') || words.includes(word)
  const named = rule.resourceNames === undefined || (name !== undefined && rule.resourceNames.includes(name))
  return named && has(rule.verbs, verb) && has(rule.apiGroups, group) && has(rule.resources, resource)
}

function reasonOf({ role, namespace }: Grant, { username }: User): string {
  const [, of = '', account = ''] = /^system:serviceaccount:([^:]+):(.+)$/.exec(username) ?? []
  const subject = account === '' ? `User "${username}"` : `ServiceAccount "${account}/${of}"`
  return namespace === undefined
    ? `RBAC: allowed by ClusterRoleBinding "${role}" of ClusterRole "${role}" to ${subject}`
    : `RBAC: allowed by RoleBinding "${role}/${namespace}" of Role "${role}" to ${subject}`
}
