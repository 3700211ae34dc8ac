import { refuse, refusals } from '../answers.ts'
import type { Context } from '../context.ts'
import { kindOf } from '../kinds/index.ts'
import { DecodeError } from '../kinds/kind.ts'
import { applyJsonPatch, PatchError } from '../patch.ts'
import { RESOURCES } from '../resources.ts'
import {
  asNumber,
  asRecord,
  asString,
  clone,
  isRecord,
  labelsOf,
  metadataOf,
  nameOf,
  records,
  same,
  type KubeObject,
} from '../values.ts'
import { coversPod, meetsConditions } from './match.ts'
import { runBuiltInPlugins } from './plugins.ts'
import { escaped, givenName, requestOf, type Creation } from './request.ts'
import { CallFailed, readPatch, readReview, reviewVersion, type ReviewAnswer } from './review.ts'

interface Hook {
  id: string
  configuration: string
  webhook: KubeObject
  /** Place among all webhooks of all configurations, for the audit annotations. */
  index: number
}

/** State of one pod's way through the webhooks. */
interface Passage {
  creation: Creation
  pod: KubeObject
  warnings: string[]
  audit: Record<string, string>
  round: number
}

/**
 * Takes a new pod through the built-in plugins and the mutating webhooks: a second round for webhooks with `IfNeeded`
 * whose pod was changed after them, by a later webhook or by a plugin. Throws a Refusal where the pod is refused.
 */
export async function admitPod(
  context: Context,
  creation: Creation,
  decoded: KubeObject,
  warnings: string[],
): Promise<KubeObject> {
  const passage: Passage = { creation, pod: decoded, warnings, audit: {}, round: 0 }
  const hooks = hooksOf(context)
  try {
    await rounds(context, passage, hooks)
    return stillAPod(passage)
  } finally {
    context.audits.push({
      username: creation.account.user.username,
      namespace: creation.route.namespace,
      name: nameOf(passage.pod),
      annotations: passage.audit,
    })
  }
}

async function rounds(context: Context, passage: Passage, hooks: readonly Hook[]): Promise<void> {
  const { namespace } = passage.creation.route
  const invoked = new Set<string>()
  const again = new Set<string>()
  const requireAgain = () => {
    for (const id of invoked) again.add(id)
    invoked.clear()
  }
  let lastOutput: KubeObject | undefined
  let changed = false
  for (; passage.round < 2; passage.round++) {
    runBuiltInPlugins(context, passage.pod, namespace, givenName(passage.pod))
    if (lastOutput && !same(lastOutput, passage.pod)) requireAgain()
    for (const hook of hooks) {
      if (passage.round > 0 && !again.has(hook.id)) continue
      const outcome = await invoke(context, passage, hook)
      if (outcome === 'skipped') continue
      if (outcome === 'mutated') {
        requireAgain()
        changed = true
      }
      if (hook.webhook['reinvocationPolicy'] === 'IfNeeded') invoked.add(hook.id)
    }
    lastOutput = clone(passage.pod)
    if (!changed) return
  }
}

function hooksOf({ store }: Context): Hook[] {
  const hooks = store
    .list(RESOURCES.webhookConfigurations, '')
    .flatMap(([, object]) =>
      records(object['webhooks']).map(webhook => ({ configuration: nameOf(object), webhook: clone(webhook) })),
    )
  return hooks.map(({ configuration, webhook }, index) => ({
    id: `${configuration}/${asString(webhook['name']) ?? ''}`,
    configuration,
    webhook,
    index,
  }))
}

async function invoke(context: Context, passage: Passage, hook: Hook): Promise<'skipped' | 'same' | 'mutated'> {
  const { webhook, configuration } = hook
  const { pod, creation } = passage
  const name = asString(webhook['name']) ?? ''
  const labels = labelsOf(context.store.get(RESOURCES.namespaces, '', creation.route.namespace) ?? {})
  if (!coversPod(webhook, labels, pod)) return 'skipped'
  const request = requestOf(context, creation, pod)
  const match = meetsConditions(webhook, context.evaluateCondition, { object: pod, oldObject: null, request })
  const lenient = webhook['failurePolicy'] === 'Ignore'
  if (!match.matched) {
    if ('error' in match && !lenient) {
      throw refusals.forbiddenByAdmission(RESOURCES.pods, givenName(pod), match.error)
    }
    return 'skipped'
  }
  const place = `round_${passage.round}_index_${hook.index}`
  let mutated = false
  try {
    const apiVersion = reviewVersion(webhook)
    const review = { kind: 'AdmissionReview', apiVersion, request }
    const uid = asString(request['uid']) ?? ''
    const answer = readReview(await context.caller.call(webhook, escaped(review)), apiVersion, uid)
    record(passage, name, answer)
    if (!answer.allowed) throw denied(name, answer)
    const operations = answer.patch === '' ? [] : readPatch(answer)
    if (operations.length === 0) return 'same'
    const patched = apply(passage, operations)
    passage.audit[`patch.webhook.admission.k8s.io/${place}`] = JSON.stringify({
      configuration,
      webhook: name,
      patch: operations,
      patchType: answer.patchType,
    })
    passage.pod = patched
    mutated = true
    return 'mutated'
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error
    if (!lenient) throw refusals.internal(`failed calling webhook "${name}": ${error.message}`)
    passage.audit[`failed-open.mutation.webhook.admission.k8s.io/${place}`] = name
    context.log.warn({ webhook: name, err: error }, 'failed to call a webhook, the pod is admitted unchanged')
    return 'skipped'
  } finally {
    const key = `mutation.webhook.admission.k8s.io/${place}`
    passage.audit[key] = JSON.stringify({ configuration, webhook: name, mutated })
  }
}

/** What is noticed only after all webhooks. */
function stillAPod({ pod, creation }: Passage): KubeObject {
  if (pod['kind'] !== 'Pod') {
    const why = `converting (v1.${asString(pod['kind']) ?? ''}) to (core.Pod): unknown conversion`
    throw refuse({ message: why, code: 500 })
  }
  if (metadataOf(pod)['namespace'] !== creation.route.namespace) throw refusals.otherNamespace()
  return pod
}

function record(passage: Passage, webhook: string, { auditAnnotations, warnings }: ReviewAnswer): void {
  for (const [key, value] of Object.entries(auditAnnotations)) {
    if (key !== '' && !/[/\s]/.test(key)) passage.audit[`${webhook}/${key}`] = value
  }
  passage.warnings.push(...warnings)
}

function denied(webhook: string, { status }: ReviewAnswer): Error {
  const message = asString(status['message']) ?? ''
  const reason = asString(status['reason'])
  const code = asNumber(status['code']) ?? 0
  const why = message !== '' ? `: ${message}` : reason !== undefined ? `: ${reason}` : ' without explanation'
  return refuse({
    message: `admission webhook "${webhook}" denied the request${why}`,
    ...(reason !== undefined && { reason }),
    ...(isRecord(status['details']) && { details: status['details'] }),
    code: code >= 400 ? code : 400,
  })
}

/** The pod with the patch, decoded again; what cannot be done is an internal error whatever the failure policy says. */
function apply({ pod }: Passage, operations: readonly unknown[]): KubeObject {
  let patched: KubeObject
  try {
    patched = asRecord(applyJsonPatch(pod, operations)) ?? {}
    const metadata = metadataOf(patched)
    for (const member of ['labels', 'annotations']) {
      const values = asRecord(metadata[member])
      for (const [key, value] of Object.entries(values ?? {})) if (values && value === null) values[key] = ''
    }
    kindOf(RESOURCES.pods).decode(patched)
  } catch (error) {
    throw error instanceof PatchError || error instanceof DecodeError ? refusals.internal(error.message) : error
  }
  return patched
}
