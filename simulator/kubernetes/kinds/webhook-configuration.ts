import { fieldErrors, type FieldError } from '../answers.ts'
import { asList, asNumber, asRecord, asString, base64Problem, records, setDefault, type KubeObject } from '../values.ts'
import { DecodeError, type Kind } from './kind.ts'

const VERSIONS = ['v1', 'v1beta1']
const MAX_CONDITIONS = 64

export const webhookConfiguration: Kind = {
  unconditionalUpdate: false,
  createOnUpdate: false,
  countsGenerations: true,
  decode: object => {
    for (const webhook of records(object['webhooks'])) decodeWebhook(webhook)
  },
  validate: object => {
    const webhooks = records(object['webhooks'])
    const names = webhooks.map(webhook => webhook['name'])
    return webhooks.flatMap((webhook, index) => {
      const field = `webhooks[${index}]`
      const duplicate = names.indexOf(webhook['name']) < index
      return [
        ...(duplicate ? [fieldErrors.duplicate(`${field}.name`, webhook['name'])] : []),
        ...ruleErrors(webhook, field),
        ...webhookErrors(webhook, field),
      ]
    })
  },
}

function decodeWebhook(webhook: KubeObject): void {
  const client = asRecord(webhook['clientConfig']) ?? {}
  const bundle = asString(client['caBundle'])
  const problem = bundle === undefined ? undefined : base64Problem(bundle)
  if (problem !== undefined) throw new DecodeError(problem)
  if (bundle === '' || client['caBundle'] === null) Reflect.deleteProperty(client, 'caBundle')
  const service = asRecord(client['service'])
  if (service) setDefault(service, 'port', 443)
  for (const rule of records(webhook['rules'])) setDefault(rule, 'scope', '*')
  setDefault(webhook, 'failurePolicy', 'Fail')
  setDefault(webhook, 'matchPolicy', 'Equivalent')
  setDefault(webhook, 'namespaceSelector', {})
  setDefault(webhook, 'objectSelector', {})
  setDefault(webhook, 'timeoutSeconds', 10)
  setDefault(webhook, 'reinvocationPolicy', 'Never')
}

function ruleErrors(webhook: KubeObject, field: string): FieldError[] {
  return records(webhook['rules']).flatMap((rule, index) =>
    ['operations', 'apiGroups', 'apiVersions', 'resources']
      .filter(name => asList(rule[name]).length === 0)
      .map(name => fieldErrors.required(`${field}.rules[${index}].${name}`)),
  )
}

function webhookErrors(webhook: KubeObject, field: string): FieldError[] {
  const errors: FieldError[] = []
  const name = asString(webhook['name']) ?? ''
  if (name.split('.').length < 3) {
    errors.push(
      fieldErrors.invalid(`${field}.name`, name, 'should be a domain with at least three segments separated by dots'),
    )
  }
  const choice = (member: string, supported: readonly string[]) => {
    const value = asString(webhook[member])
    if (value !== undefined && !supported.includes(value)) {
      errors.push(fieldErrors.notSupported(`${field}.${member}`, value, supported))
    }
  }
  choice('failurePolicy', ['Fail', 'Ignore'])
  choice('matchPolicy', ['Equivalent', 'Exact'])
  if (webhook['sideEffects'] === undefined) {
    errors.push(fieldErrors.required(`${field}.sideEffects`, 'must specify one of None, NoneOnDryRun'))
  } else choice('sideEffects', ['None', 'NoneOnDryRun'])
  const timeout = asNumber(webhook['timeoutSeconds']) ?? 0
  if (timeout < 1 || timeout > 30) {
    errors.push(
      fieldErrors.invalid(`${field}.timeoutSeconds`, timeout, 'the timeout value must be between 1 and 30 seconds'),
    )
  }
  choice('reinvocationPolicy', ['IfNeeded', 'Never'])
  return [
    ...errors,
    ...clientErrors(webhook, field),
    ...conditionErrors(webhook, field),
    ...versionErrors(webhook, field),
  ]
}

function clientErrors(webhook: KubeObject, field: string): FieldError[] {
  const client = asRecord(webhook['clientConfig']) ?? {}
  const url = asString(client['url'])
  const service = asRecord(client['service'])
  const at = `${field}.clientConfig`
  if ((url === undefined) === (service === undefined)) {
    return [fieldErrors.required(at, 'exactly one of url or service is required')]
  }
  return url === undefined ? pathErrors(asString(service?.['path']), at) : urlErrors(url, `${at}.url`)
}

function urlErrors(text: string, field: string): FieldError[] {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url) return [fieldErrors.invalid(field, text, 'url must be a valid URL; desired format: https://host[/path]')]
  const scheme = url.protocol.replace(':', '')
  return [
    ...(scheme === 'https'
      ? []
      : [
          fieldErrors.invalid(
            field,
            scheme,
            "'https' is the only allowed URL scheme; desired format: https://host[/path]",
          ),
        ]),
    ...(url.search === ''
      ? []
      : [fieldErrors.invalid(field, url.search.slice(1), 'query parameters are not permitted in the URL')]),
  ]
}

function pathErrors(path: string | undefined, at: string): FieldError[] {
  if (path === undefined || path === '' || path.startsWith('/')) return []
  return [
    fieldErrors.invalid(`${at}.service.path`, path, "must start with a '/'"),
    fieldErrors.invalid(`${at}.service.path`, path, 'segment[0] may not be empty'),
  ]
}

function conditionErrors(webhook: KubeObject, field: string): FieldError[] {
  const conditions = records(webhook['matchConditions'])
  const names = conditions.map(condition => condition['name'])
  const at = `${field}.matchConditions`
  return [
    ...(conditions.length > MAX_CONDITIONS
      ? [
          {
            reason: 'FieldValueTooLong' as const,
            field: at,
            message: `Too many: ${conditions.length}: must have at most ${MAX_CONDITIONS} items`,
          },
        ]
      : []),
    ...conditions.flatMap((condition, index) =>
      names.indexOf(condition['name']) < index
        ? [fieldErrors.duplicate(`${at}[${index}].name`, condition['name'])]
        : [],
    ),
  ]
}

function versionErrors(webhook: KubeObject, field: string): FieldError[] {
  const versions = asList(webhook['admissionReviewVersions'])
  const at = `${field}.admissionReviewVersions`
  if (versions.length === 0) return [fieldErrors.required(at, `must specify one of ${VERSIONS.join(', ')}`)]
  return versions.some(version => VERSIONS.includes(String(version)))
    ? []
    : [fieldErrors.invalid(at, versions, `must include at least one of ${VERSIONS.join(', ')}`)]
}
