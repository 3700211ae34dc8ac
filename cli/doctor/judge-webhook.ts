import { certificatesIn } from '../../lib/tls/pem.ts'
import { CONTAINER_NAME, INJECT_LABEL } from '../../webhook/names.ts'
import { SKIP_REASONS } from '../../webhook/reasons.ts'
import { target } from '../../webhook/target.ts'
import { failed, ok, skipped, type Verdict } from './check.ts'
import { fieldOf, listOf, textOf, textsOf } from './json.ts'
import { hasContainer } from './judge-resources.ts'

const MAX_NAMED = 5

export interface Served {
  namespace: string
  service: string
  port: number
  ca: string
}

/** Where the API server would call the webhook; undefined for one that is called by URL. */
export function servedBy(configuration: unknown): Served | undefined {
  const [webhook] = listOf(configuration, 'webhooks')
  const client = fieldOf(webhook, 'clientConfig')
  const service = fieldOf(client, 'service')
  const [name, namespace] = [textOf(service, 'name'), textOf(service, 'namespace')]
  if (name === undefined || namespace === undefined) return undefined
  const port = fieldOf(service, 'port')
  const ca = Buffer.from(textOf(client, 'caBundle') ?? '', 'base64').toString('utf8')
  return { namespace, service: name, port: typeof port === 'number' ? port : 443, ca }
}

/** Whether API servers can call it at all: a bundle that is valid now, and a failure policy that hurts nobody. Pure. */
export function judgeConfiguration(configuration: unknown, nowMs: number): Verdict {
  const webhooks = listOf(configuration, 'webhooks')
  if (webhooks.length === 0) {
    return failed('there is no webhook configuration gitlab-runner-hadr', 'Apply manifests/base (kubectl apply -k).')
  }
  for (const webhook of webhooks) {
    const name = textOf(webhook, 'name') ?? ''
    const certificates = certificatesIn(
      Buffer.from(textOf(fieldOf(webhook, 'clientConfig'), 'caBundle') ?? '', 'base64').toString('utf8'),
    )
    if (certificates.length === 0) {
      return failed(
        `${name} has no caBundle that holds a certificate, so API servers cannot trust the webhook`,
        'With certificates.mode self the webhook writes it: look at its log and at its right to patch its configuration.',
      )
    }
    if (certificates.every(({ notAfterMs }) => notAfterMs <= nowMs)) {
      return failed(
        `every certificate in the caBundle of ${name} has expired`,
        'Restart the webhook, and look at its log.',
      )
    }
    if (textOf(webhook, 'failurePolicy') !== 'Ignore') {
      return failed(
        `the failure policy of ${name} is not Ignore, so a webhook that is down keeps runners from starting`,
        'Set failurePolicy: Ignore, as in manifests/base.',
      )
    }
  }
  return ok(`${webhooks.length} webhook${webhooks.length === 1 ? '' : 's'} with a valid caBundle`)
}

interface Scene {
  namespace: string
  namespaceObject: unknown
  pods: readonly unknown[]
  ownNamespace: string
}

/** Which pods the webhook would inject, and why not the others. */
function targets({ namespace, pods, ownNamespace }: Scene) {
  const request = { operation: 'CREATE', group: '', version: 'v1', kind: 'Pod', subResource: '', namespace }
  return pods.map(pod => ({ pod, verdict: target(pod, request, { ownNamespace }) }))
}

export function runnerPods(scene: Scene): unknown[] {
  return targets(scene).flatMap(({ pod, verdict }) => ('inject' in verdict ? [pod] : []))
}

/** Whether the selectors find the runners; if they find none, which labels would. Pure. */
export function judgeSelectors(scene: Scene): Verdict {
  const { namespace, namespaceObject, pods } = scene
  const label = textsOf(fieldOf(namespaceObject, 'metadata'), 'labels')[INJECT_LABEL]
  if (label !== 'enabled') {
    return failed(
      `namespace ${namespace} has ${label === undefined ? 'no label' : `the label value ${label} for`} ${INJECT_LABEL}, so no pod in it is looked at`,
      `kubectl label namespace ${namespace} ${INJECT_LABEL}=enabled`,
    )
  }
  const judged = targets(scene)
  const found = judged.filter(({ verdict }) => 'inject' in verdict).length
  if (found > 0) return ok(`${found} of ${pods.length} pods in ${namespace} are taken for runners`)
  if (pods.length === 0) return skipped(`there is no pod in ${namespace}; name another with --runner-namespace`)
  const others = judged.flatMap(({ pod, verdict }) => ('skip' in verdict ? [{ pod, reason: verdict.skip }] : []))
  const likely = others.filter(({ reason }) => reason === 'notRunner')
  const shown = (likely.length > 0 ? likely : others).slice(0, MAX_NAMED).map(({ pod, reason }) => {
    const labels = Object.entries(textsOf(fieldOf(pod, 'metadata'), 'labels'))
      .filter(([key]) => !/(?:hash|revision)$/.test(key))
      .map(([key, value]) => `${key}=${value}`)
    return `${podName(pod)}: ${SKIP_REASONS[reason]} (labels: ${labels.join(', ') || 'none'})`
  })
  return failed(
    `none of the ${pods.length} pods in ${namespace} is taken for a runner. ${shown.join('; ')}`,
    `Give the runner pods the label ${INJECT_LABEL}=enabled (podLabels in the chart's values); labels app=…-gitlab-runner or app.kubernetes.io/name=gitlab-runner would match, too.`,
  )
}

/** Runner pods that were made while nobody injected. Pure. */
export function judgeSidecars(scene: Scene): Verdict {
  const runners = runnerPods(scene)
  const bare = runners.filter(pod => !hasContainer(pod, CONTAINER_NAME))
  if (runners.length === 0) return skipped('no runner pod was found')
  if (bare.length === 0) return ok(`all ${runners.length} runner pods have the sidecar`)
  const more = bare.length > MAX_NAMED ? ` and ${bare.length - MAX_NAMED} more` : ''
  return failed(
    `${bare.length} of ${runners.length} runner pods have no sidecar: ${bare.slice(0, MAX_NAMED).map(podName).join(', ')}${more}`,
    `They were made before the webhook served. Let them be made anew, such as by kubectl rollout restart deployment -n ${scene.namespace} NAME.`,
  )
}

function podName(pod: unknown): string {
  return textOf(fieldOf(pod, 'metadata'), 'name') ?? 'a pod without a name'
}
