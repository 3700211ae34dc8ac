import { asRecord, goTypeOf, isRecord, records, type KubeObject } from '../values.ts'
import { DecodeError } from './kind.ts'

const words = (text: string) => new Set(text.split(/\s+/))

/** The field names of core/v1 at the levels where a patch or a user is likely to be wrong. */
const POD = words('kind apiVersion metadata spec status')
const POD_SPEC =
  words(`volumes initContainers containers ephemeralContainers restartPolicy terminationGracePeriodSeconds
  activeDeadlineSeconds dnsPolicy nodeSelector serviceAccountName serviceAccount automountServiceAccountToken nodeName
  hostNetwork hostPID hostIPC shareProcessNamespace securityContext imagePullSecrets hostname subdomain affinity
  schedulerName tolerations hostAliases priorityClassName priority dnsConfig readinessGates runtimeClassName
  enableServiceLinks preemptionPolicy overhead topologySpreadConstraints setHostnameAsFQDN os hostUsers schedulingGates
  resourceClaims resources hostnameOverride workloadRef schedulingGroup`)
const CONTAINER = words(`name image command args workingDir ports envFrom env resources resizePolicy restartPolicy
  restartPolicyRules volumeMounts volumeDevices livenessProbe readinessProbe startupProbe lifecycle terminationMessagePath
  terminationMessagePolicy imagePullPolicy securityContext stdin stdinOnce tty targetContainerName`)

const LISTS: Readonly<Record<string, string>> = {
  ports: 'v1.ContainerPort',
  env: 'v1.EnvVar',
  volumeMounts: 'v1.VolumeMount',
  command: 'string',
  args: 'string',
}

/** Container lists of a pod, as they are called in the spec. */
export const CONTAINER_LISTS = ['initContainers', 'containers', 'ephemeralContainers'] as const

/** Paths of fields that core/v1 does not have; only pod, spec and container are looked at. */
export function unknownFields(pod: KubeObject): string[] {
  const found: string[] = []
  walk(pod, (parent, name, path) => {
    found.push(`${path}${name}`)
    return parent
  })
  return found
}

/** The server forgets what it does not know. */
export function dropUnknownFields(pod: KubeObject): void {
  walk(pod, (parent, name) => Reflect.deleteProperty(parent, name))
}

function walk(pod: KubeObject, visit: (parent: KubeObject, name: string, path: string) => unknown): void {
  const level = (parent: KubeObject, known: ReadonlySet<string>, path: string) => {
    for (const name of Object.keys(parent)) if (!known.has(name)) visit(parent, name, path)
  }
  level(pod, POD, '')
  const spec = asRecord(pod['spec'])
  if (!spec) return
  level(spec, POD_SPEC, 'spec.')
  for (const list of CONTAINER_LISTS) {
    for (const [index, container] of records(spec[list]).entries())
      level(container, CONTAINER, `spec.${list}[${index}].`)
  }
}

/** Throws when a list is something else. */
export function checkTypes(pod: KubeObject): void {
  const spec = asRecord(pod['spec']) ?? {}
  for (const list of CONTAINER_LISTS) {
    for (const container of records(spec[list])) {
      for (const [name, element] of Object.entries(LISTS)) {
        const value = container[name]
        if (value === undefined || value === null || Array.isArray(value)) continue
        const type = isRecord(value) ? 'object' : goTypeOf(value)
        throw new DecodeError(
          `json: cannot unmarshal ${type} into Go struct field Container.spec.${list}.${name} of type []${element}`,
        )
      }
    }
  }
}
