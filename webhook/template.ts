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
import type { PodSettings } from './overrides.ts'
import { isGuaranteed, isWindows, podLevelAmounts, runsAsRoot, type PodShape } from './shape.ts'

/** Kubernetes' own types, as plain objects: an API server drops a misspelt field without a word, the compiler does not. */
type Plain<Type> = Type extends readonly (infer Item)[]
  ? Plain<Item>[]
  : Type extends object
    ? { [Key in keyof Type]: Plain<Type[Key]> }
    : Type
export type Container = Plain<V1Container>
export type Volume = Plain<V1Volume>

/**
 * The sidecar for one pod. It has no probe and no preStop, so that it can neither restart nor delay anything, and no
 * `runAsUser`, because OpenShift assigns one; the image's user has a number that is not 0.
 */
export function sidecarContainer(
  config: SidecarConfig,
  settings: PodSettings,
  pod: PodShape,
  native: boolean,
): Container {
  return {
    name: CONTAINER_NAME,
    image: config.image,
    imagePullPolicy: 'IfNotPresent',
    args: argumentsOf(config, settings),
    ...(native ? { restartPolicy: 'Always' } : {}),
    ports: [{ name: PORT_NAME, containerPort: PORT, protocol: 'TCP' }],
    env: [
      fromField('POD_NAME', 'metadata.name'),
      fromField('POD_NAMESPACE', 'metadata.namespace'),
      fromField('POD_IP', 'status.podIP'),
    ],
    resources: resourcesOf(settings, pod),
    securityContext: securityContextOf(pod),
    volumeMounts: [
      { name: NO_TOKEN_VOLUME, mountPath: SERVICE_ACCOUNT_FOLDER, readOnly: true },
      ...(config.tokenSecret === undefined ? [] : [{ name: TOKEN_VOLUME, mountPath: TOKEN_FOLDER, readOnly: true }]),
    ],
  }
}

/** What the container mounts. The Secret is optional: a pod starts without it, and the sidecar reads it when it comes. */
export function sidecarVolumes({ tokenSecret }: SidecarConfig): Volume[] {
  const items = [{ key: 'token', path: 'token' }]
  return [
    { name: NO_TOKEN_VOLUME, emptyDir: {} },
    ...(tokenSecret === undefined
      ? []
      : [{ name: TOKEN_VOLUME, secret: { secretName: tokenSecret, optional: true, items } }]),
  ]
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

function resourcesOf({ resources }: PodSettings, pod: PodShape) {
  const wholePods = podLevelAmounts(pod)
  const own = (amounts: { cpu: string; memory: string }) =>
    Object.fromEntries(Object.entries(amounts).filter(([name]) => !wholePods.has(name)))
  return { requests: own(isGuaranteed(pod) ? resources.limits : resources.requests), limits: own(resources.limits) }
}

/** What the restricted Pod Security Standard asks of a container. */
function securityContextOf(pod: PodShape): Plain<V1SecurityContext> {
  const nonRoot = runsAsRoot(pod) ? {} : { runAsNonRoot: true }
  if (isWindows(pod)) return nonRoot
  return {
    ...nonRoot,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
    seccompProfile: { type: 'RuntimeDefault' },
  }
}
