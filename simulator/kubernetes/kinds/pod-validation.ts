import { fieldErrors, type FieldError } from '../answers.ts'
import { asRecord, asString, records, same, type KubeObject } from '../values.ts'
import { quantityAmount } from './quantity.ts'

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const LABEL_RULE =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
const MAX_LABEL = 63

/** The rules that an injected container can break; a real server has many more. */
export function podErrors(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const spec = asRecord(object['spec']) ?? {}
  if (old) return changeErrors(spec, asRecord(old['spec']) ?? {})
  const volumes = records(spec['volumes']).map(volume => asString(volume['name']) ?? '')
  const duplicateVolumes = volumes.flatMap((name, index) =>
    volumes.indexOf(name) < index ? [fieldErrors.duplicate(`spec.volumes[${index}].name`, name)] : [],
  )
  const names = new Set<string>()
  const containers = records(spec['containers'])
  return [
    ...duplicateVolumes,
    ...(containers.length === 0 ? [fieldErrors.required('spec.containers')] : []),
    ...containers.flatMap((each, index) => containerErrors(each, `spec.containers[${index}]`, names, volumes)),
    ...(records(spec['ephemeralContainers']).length > 0
      ? [fieldErrors.forbidden('spec.ephemeralContainers', 'cannot be set on create')]
      : []),
    ...records(spec['initContainers']).flatMap((each, index) => {
      const field = `spec.initContainers[${index}]`
      return [...containerErrors(each, field, names, volumes), ...initErrors(each, field)]
    }),
  ]
}

function containerErrors(
  container: KubeObject,
  field: string,
  names: Set<string>,
  volumes: readonly string[],
): FieldError[] {
  const name = asString(container['name']) ?? ''
  const errors: FieldError[] = []
  if (name === '') errors.push(fieldErrors.required(`${field}.name`))
  else if (!LABEL.test(name)) errors.push(fieldErrors.invalid(`${field}.name`, name, LABEL_RULE))
  else if (name.length > MAX_LABEL) {
    errors.push(fieldErrors.invalid(`${field}.name`, name, `must be no more than ${MAX_LABEL} bytes`))
  }
  if (names.has(name)) errors.push(fieldErrors.duplicate(`${field}.name`, name))
  names.add(name)
  if ((asString(container['image']) ?? '') === '') errors.push(fieldErrors.required(`${field}.image`))
  const policy = asString(container['imagePullPolicy']) ?? ''
  const policies = ['Always', 'IfNotPresent', 'Never']
  if (!policies.includes(policy)) errors.push(fieldErrors.notSupported(`${field}.imagePullPolicy`, policy, policies))
  return [...errors, ...mountErrors(container, field, volumes), ...resourceErrors(container, field)]
}

function mountErrors(container: KubeObject, field: string, volumes: readonly string[]): FieldError[] {
  const mounts = records(container['volumeMounts'])
  const paths = mounts.map(mount => asString(mount['mountPath']) ?? '')
  return mounts.flatMap((mount, index) => {
    const at = `${field}.volumeMounts[${index}]`
    const name = asString(mount['name']) ?? ''
    const path = paths[index] ?? ''
    return [
      ...(volumes.includes(name) ? [] : [fieldErrors.notFound(`${at}.name`, name)]),
      ...(path === '' ? [fieldErrors.required(`${at}.mountPath`)] : []),
      ...(paths.indexOf(path) < index ? [fieldErrors.invalid(`${at}.mountPath`, path, 'must be unique')] : []),
    ]
  })
}

function resourceErrors(container: KubeObject, field: string): FieldError[] {
  const resources = asRecord(container['resources']) ?? {}
  const limits = asRecord(resources['limits']) ?? {}
  return Object.entries(asRecord(resources['requests']) ?? {}).flatMap(([unit, request]) => {
    const limit = limits[unit]
    return limit !== undefined && quantityAmount(request) > quantityAmount(limit)
      ? [
          fieldErrors.invalid(
            `${field}.resources.requests`,
            request,
            `must be less than or equal to ${unit} limit of ${asString(limit) ?? ''}`,
          ),
        ]
      : []
  })
}

function initErrors(container: KubeObject, field: string): FieldError[] {
  if (container['restartPolicy'] === 'Always') return []
  return ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe']
    .filter(name => container[name] !== undefined)
    .map(name =>
      fieldErrors.forbidden(`${field}.${name}`, 'may not be set for init containers without restartPolicy=Always'),
    )
}

/** A pod's containers cannot change but for their images. */
function changeErrors(spec: KubeObject, old: KubeObject): FieldError[] {
  const shape = (from: KubeObject) => records(from['containers']).map(container => ({ ...container, image: undefined }))
  return same(shape(spec), shape(old))
    ? []
    : [
        fieldErrors.forbidden(
          'spec',
          'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
        ),
      ]
}

/** Ports that are declared twice are accepted with a warning. */
export function podWarnings(object: KubeObject): string[] {
  const spec = asRecord(object['spec']) ?? {}
  const ports = records(spec['containers']).flatMap((container, index) =>
    records(container['ports']).map((port, at) => ({ port, at: `spec.containers[${index}].ports[${at}]`, index })),
  )
  return ports.flatMap(({ port, at, index }, position) => {
    const earlier = ports.slice(0, position).filter(other => other.index !== index)
    const twin = earlier.find(
      other => other.port['containerPort'] === port['containerPort'] && other.port['protocol'] === port['protocol'],
    )
    const namesake = port['name'] === undefined ? undefined : earlier.find(other => other.port['name'] === port['name'])
    return [
      ...(twin ? [`${at}: duplicate port definition with ${twin.at}`] : []),
      ...(namesake
        ? [
            `${at}: duplicate port name ${JSON.stringify(port['name'])} with ${namesake.at}, services and probes that select ports by name will use ${namesake.at}`,
          ]
        : []),
    ]
  })
}
