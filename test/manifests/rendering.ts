import { asRecord, asString, labelsOf, metadataOf, nameOf, records } from '../../simulator/kubernetes/values.ts'
import { kustomize } from '../support/kubectl.ts'
import type { Body } from '../support/recordings.ts'

/** What a folder with a kustomization renders to, and ways to find things in it. */
export interface Rendering {
  objects: readonly Body[]
  /** The one object of a kind, or of a kind and name; throws when there is none or more than one. */
  the: (kind: string, name?: string) => Body
  all: (kind: string) => Body[]
}

export async function render(folder: string): Promise<Rendering> {
  const objects = await kustomize(folder)
  const all = (kind: string) => objects.filter(object => object['kind'] === kind)
  return {
    objects,
    all,
    the: (kind, name) => {
      const found = all(kind).filter(object => name === undefined || nameOf(object) === name)
      const [object] = found
      if (object === undefined || found.length > 1) throw new Error(`${found.length} objects are ${kind} ${name ?? ''}`)
      return object
    },
  }
}

/** A member of nested objects and lists, such as `spec.template.spec.containers.0`; undefined where there is none. */
export function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((parent, key) => (parent as Body | undefined)?.[key], value)
}

export function podTemplate({ the }: Rendering): {
  labels: Readonly<Record<string, string>>
  spec: Body
  container: Body
} {
  const template = asRecord(at(the('Deployment'), 'spec.template')) ?? {}
  const spec = asRecord(template['spec']) ?? {}
  const [container = {}] = records(spec['containers'])
  return { labels: labelsOf(template), spec, container }
}

/** The number of a container's port by its name. */
export function portNamed(container: Body, name: unknown): unknown {
  return records(container['ports']).find(port => port['name'] === name)?.['containerPort']
}

/** The text of the webhook's configuration, found as its container finds it: by argument, mount and volume. */
export function configurationText(rendering: Rendering): string {
  const { spec, container } = podTemplate(rendering)
  const [, , file = ''] = (container['args'] as string[] | undefined) ?? []
  const mount = records(container['volumeMounts']).find(({ mountPath }) => file.startsWith(`${String(mountPath)}/`))
  const volume = records(spec['volumes']).find(({ name }) => name === mount?.['name'])
  const configMap = rendering.the('ConfigMap', asString(at(volume, 'configMap.name')) ?? 'no volume')
  return asString(asRecord(configMap['data'])?.[file.slice(String(mount?.['mountPath']).length + 1)]) ?? ''
}

/** What the restricted Pod Security Standard objects to in a pod with one container; Kubernetes' documentation lists it. */
export function restrictedViolations(pod: Body): string[] {
  const [container = {}, ...others] = records(pod['containers'])
  const pods = asRecord(pod['securityContext']) ?? {}
  const own = asRecord(container['securityContext']) ?? {}
  const volumeTypes = records(pod['volumes']).flatMap(volume => Object.keys(volume).filter(key => key !== 'name'))
  const allowed = [
    'configMap',
    'csi',
    'downwardAPI',
    'emptyDir',
    'ephemeral',
    'persistentVolumeClaim',
    'projected',
    'secret',
  ]
  const rules: Record<string, boolean> = {
    'one container': others.length === 0 && pod['initContainers'] === undefined,
    hostNetwork: pod['hostNetwork'] === undefined,
    hostPID: pod['hostPID'] === undefined && pod['hostIPC'] === undefined,
    hostPort: records(container['ports']).every(({ hostPort }) => hostPort === undefined),
    volumes: volumeTypes.every(type => allowed.includes(type)),
    privileged: own['privileged'] === undefined,
    allowPrivilegeEscalation: own['allowPrivilegeEscalation'] === false,
    runAsNonRoot: (own['runAsNonRoot'] ?? pods['runAsNonRoot']) === true,
    seccompProfile: at(own['seccompProfile'] ?? pods['seccompProfile'], 'type') === 'RuntimeDefault',
    capabilities: JSON.stringify(own['capabilities']) === '{"drop":["ALL"]}',
  }
  return Object.entries(rules).flatMap(([rule, holds]) => (holds ? [] : [rule]))
}

export function annotationsOf(object: Body): Body {
  return asRecord(metadataOf(object)['annotations']) ?? {}
}
