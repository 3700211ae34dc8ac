import { INJECT_LABEL, SYSTEM_NAMESPACES } from './names.ts'

/** A requirement of a label selector, as Kubernetes writes it. */
export interface LabelRequirement {
  key: string
  operator: 'In' | 'NotIn' | 'DoesNotExist'
  values?: readonly string[]
}

/** A CEL condition of a webhook or an admission policy; all must be true. */
export interface MatchCondition {
  name: string
  expression: string
}

/*
 * The two layers in front of the handler, which keep other pods' creation from waiting for the webhook at all. The
 * manifests are held to them. Each must let every runner through that the handler would inject.
 */

export function namespaceRequirements(ownNamespace: string): readonly LabelRequirement[] {
  return [
    { key: INJECT_LABEL, operator: 'In', values: ['enabled'] },
    { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: [...SYSTEM_NAMESPACES, ownNamespace] },
  ]
}

export const OBJECT_REQUIREMENTS: readonly LabelRequirement[] = [
  { key: 'job.runner.gitlab.com/pod', operator: 'DoesNotExist' },
  { key: 'runner.gitlab.com/pause-pod', operator: 'DoesNotExist' },
  { key: INJECT_LABEL, operator: 'NotIn', values: ['disabled'] },
]

const label = (key: string) => `object.metadata.?labels[?'${key}'].orValue('')`

/** A field that may be absent is read as optional: an error in a condition skips the webhook without a trace. */
export const MATCH_CONDITIONS: readonly MatchCondition[] = [
  { name: 'restarts-always', expression: "object.spec.?restartPolicy.orValue('Always') == 'Always'" },
  {
    name: 'not-a-mirror-pod',
    expression: "!('kubernetes.io/config.mirror' in object.metadata.?annotations.orValue({}))",
  },
  {
    name: 'looks-like-a-runner',
    expression: [
      `${label(INJECT_LABEL)} == 'enabled'`,
      `${label('chart')}.startsWith('gitlab-runner-')`,
      `${label('app')}.startsWith('gitlab-runner')`,
      `${label('app')}.endsWith('-gitlab-runner')`,
      `${label('app.kubernetes.io/name')} == 'gitlab-runner'`,
      `${label('app.kubernetes.io/component')} == 'runner'`,
    ].join(' || '),
  },
]
