import type { Grant, Rule } from '../../../simulator/kubernetes/access.ts'
import type { KubernetesState } from '../../../simulator/kubernetes/state.ts'
import {
  asRecord,
  asString,
  metadataOf,
  nameOf,
  records,
  type KubeObject,
} from '../../../simulator/kubernetes/values.ts'

/** What the roles that are bound to a service account let it do: RBAC's own reading of the objects in the cluster. */
export function grantsOf(state: KubernetesState, namespace: string, account: string): Grant[] {
  const isBound = (binding: KubeObject) =>
    records(binding['subjects']).some(
      subject =>
        subject['kind'] === 'ServiceAccount' && subject['name'] === account && subject['namespace'] === namespace,
    )
  const bindings = [...state.list('roleBindings'), ...state.list('clusterRoleBindings')].filter(isBound)
  return bindings.flatMap(binding => {
    const reference = asRecord(binding['roleRef']) ?? {}
    const within = asString(metadataOf(binding)['namespace'])
    const role =
      reference['kind'] === 'Role'
        ? state.get('roles', within ?? '', nameOfReference(reference))
        : state.get('clusterRoles', '', nameOfReference(reference))
    if (!role) throw new Error(`${nameOf(binding)} binds a role that does not exist`)
    const rules = records(role['rules']) as unknown as Rule[]
    return [{ role: nameOf(role), ...(within !== undefined && { namespace: within }), rules }]
  })
}

function nameOfReference(reference: KubeObject): string {
  return asString(reference['name']) ?? ''
}
