import type { V1Container, V1SecurityContext, V1Volume } from '@kubernetes/client-node'
import type { SidecarConfig } from './config.ts'
import {
  CONTAINER_NAME,
  NO_TOKEN_VOLUME,
  PORT,
  PORT_NAME,
  SERVICE_ACCOUNT_FOLDER,
  TOKEN_FOLDER,
  TOKEN_VOLUME,
} from './names.ts'
import type { Overrides, PodSettings } from './overrides.ts'
import { isGuaranteed, isWindows, podLevelAmounts, runsAsRoot, type PodShape } from './shape.ts'

/** Kubernetes' own types, as plain objects: an API server drops a misspelt field without a word, the compiler does not. */
type Plain<Type> = Type extends readonly (infer Item)[]
  ? Plain<Item>[]
  : Type extends object
    ? { [Key in keyof Type]: Plain<Type[Key]> }
    : Type
export type Container = Plain<V1Container>
export type Volume = Plain<V1Volume>

/** All that a pod's own shape decides about its sidecar. */
interface Facts {
  native: boolean
  windows: boolean
  root: boolean
  guaranteed: boolean
  /** Amounts that the pod has as a whole. */
  wholeCpu: boolean
  wholeMemory: boolean
}

/** Sidecars with the configuration's own settings, by what distinguishes them: nearly all pods get one of these few. */
const made = new WeakMap<SidecarConfig, Map<number, Container>>()
const texts = new WeakMap<object, string>()

/** The JSON text of what is added to a pod; that of a sidecar made before is known. */
export function jsonOf(value: unknown): string {
  const known = typeof value === 'object' && value !== null ? texts.get(value) : undefined
  return known ?? JSON.stringify(value)
}

/** The sidecar for one pod. It must not be changed: other pods may get the same object. */
export function sidecarContainer(
  config: SidecarConfig,
  { settings, changed }: Pick<Overrides, 'settings' | 'changed'>,
  pod: PodShape,
  native: boolean,
): Container {
  const facts = factsOf(pod, native)
  if (changed) return build(config, settings, facts)
  const variants = made.get(config) ?? new Map<number, Container>()
  made.set(config, variants)
  const variant = Object.values(facts).reduce<number>((bits, fact) => bits * 2 + Number(fact), 0)
  const known = variants.get(variant)
  if (known !== undefined) return known
  const container = build(config, settings, facts)
  variants.set(variant, container)
  texts.set(container, JSON.stringify(container))
  return container
}

function factsOf(pod: PodShape, native: boolean): Facts {
  const wholePods = podLevelAmounts(pod)
  return {
    native,
    windows: isWindows(pod),
    root: runsAsRoot(pod),
    guaranteed: isGuaranteed(pod),
    wholeCpu: wholePods.has('cpu'),
    wholeMemory: wholePods.has('memory'),
  }
}

/**
 * It has no probe and no preStop, so that it can neither restart nor delay anything, and no `runAsUser`, because OpenShift
 * assigns one; the image's user has a number that is not 0.
 */
function build(config: SidecarConfig, settings: PodSettings, facts: Facts): Container {
  return {
    name: CONTAINER_NAME,
    image: config.image,
    imagePullPolicy: 'IfNotPresent',
    args: argumentsOf(config, settings),
    ...(facts.native ? { restartPolicy: 'Always' } : {}),
    ports: [{ name: PORT_NAME, containerPort: PORT, protocol: 'TCP' }],
    env: [
      fromField('POD_NAME', 'metadata.name'),
      fromField('POD_NAMESPACE', 'metadata.namespace'),
      fromField('POD_IP', 'status.podIP'),
    ],
    resources: resourcesOf(settings, facts),
    securityContext: securityContextOf(facts),
    volumeMounts: [
      { name: NO_TOKEN_VOLUME, mountPath: SERVICE_ACCOUNT_FOLDER, readOnly: true },
      ...(config.tokenSecret === undefined ? [] : [{ name: TOKEN_VOLUME, mountPath: TOKEN_FOLDER, readOnly: true }]),
    ],
  }
}

const volumes = new WeakMap<SidecarConfig, readonly Volume[]>()

/**
 * What the container mounts; not to be changed, either. The Secret is optional: a pod starts without it, and the sidecar
 * reads it when it comes.
 */
export function sidecarVolumes(config: SidecarConfig): readonly Volume[] {
  const known = volumes.get(config)
  if (known !== undefined) return known
  const { tokenSecret } = config
  const items = [{ key: 'token', path: 'token' }]
  const all: Volume[] = [
    { name: NO_TOKEN_VOLUME, emptyDir: {} },
    ...(tokenSecret === undefined
      ? []
      : [{ name: TOKEN_VOLUME, secret: { secretName: tokenSecret, optional: true, items } }]),
  ]
  for (const volume of all) texts.set(volume, JSON.stringify(volume))
  volumes.set(config, all)
  return all
}

function argumentsOf({ gitlabUrl, tokenSecret }: SidecarConfig, settings: PodSettings): string[] {
  const flag = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value])
  return [
    'sidecar',
    ...flag('--listen', `:${PORT}`),
    ...flag('--gitlab-url', gitlabUrl),
    ...flag('--gitlab-group-id', settings.groupId),
    ...flag('--runner-id', settings.runnerIds),
    ...flag('--status-check-interval', settings.statusCheckSeconds),
    ...flag('--gitlab-token-file', tokenSecret === undefined ? undefined : `${TOKEN_FOLDER}/token`),
  ]
}

function fromField(name: string, fieldPath: string) {
  return { name, valueFrom: { fieldRef: { fieldPath } } }
}

function resourcesOf({ resources }: PodSettings, { guaranteed, wholeCpu, wholeMemory }: Facts) {
  const own = ({ cpu, memory }: { cpu: string; memory: string }) => ({
    ...(wholeCpu ? {} : { cpu }),
    ...(wholeMemory ? {} : { memory }),
  })
  return { requests: own(guaranteed ? resources.limits : resources.requests), limits: own(resources.limits) }
}

/** What the restricted Pod Security Standard asks of a container. */
function securityContextOf({ root, windows }: Facts): Plain<V1SecurityContext> {
  const nonRoot = root ? {} : { runAsNonRoot: true }
  if (windows) return nonRoot
  return {
    ...nonRoot,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
    seccompProfile: { type: 'RuntimeDefault' },
  }
}
