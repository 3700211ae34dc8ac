/** Names that the webhook, its manifests and users share. Changing one is a breaking change. */

const DOMAIN = 'gitlab-runner-hadr.io'

/** On a namespace `enabled` opts in; on a pod `enabled` or `disabled` decides for that pod. */
export const INJECT_LABEL = `${DOMAIN}/inject`
/** Start of the annotations that may override settings for one pod. */
export const ANNOTATION_PREFIX = `${DOMAIN}/`
/** Written by us: a JSON list of what was added, so that it can be taken out again. */
export const INJECTED_ANNOTATION = `${DOMAIN}/injected`

export const CONTAINER_NAME = 'gitlab-runner-hadr'
export const PORT_NAME = 'hadr-metrics'
export const PORT = 9254

export const TOKEN_VOLUME = 'gitlab-runner-hadr-token'
/** An empty folder mounted where the service account's token would be: the API server then mounts no token there. */
export const NO_TOKEN_VOLUME = 'gitlab-runner-hadr-no-token'
export const TOKEN_FOLDER = '/var/run/secrets/gitlab-runner-hadr'
export const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount'

/** Tells kubectl which container `logs` and `exec` mean when none is named. */
export const DEFAULT_CONTAINER_ANNOTATION = 'kubectl.kubernetes.io/default-container'

/** Pods of these are never touched, whatever their labels say; the webhook's own namespace is added by its configuration. */
export const SYSTEM_NAMESPACES: readonly string[] = ['kube-system', 'kube-public', 'kube-node-lease']
