import { createHash } from 'node:crypto'
import { type Mistake, createConfigReader } from '../lib/service/config.ts'
import type { ConfigOf } from '../lib/service/config-type.ts'
import { parseListenAddress } from '../lib/service/listen-address.ts'
import { parseQuantity } from './quantity.ts'

const file = { type: 'string', minLength: 1, description: 'a path' } as const
const cpu = {
  type: 'string',
  pattern: '^[0-9]{1,9}(\\.[0-9]{1,3})?m?$',
  description: 'a CPU amount such as 100m',
} as const
const memory = {
  type: 'string',
  pattern: '^[0-9]{1,15}(\\.[0-9]{1,3})?([KMG]i?)?$',
  description: 'an amount of memory such as 64Mi',
} as const

/** The webhook's configuration file: defaults, validation and documentation in one place. */
export const webhookConfigSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['sidecar'],
  properties: {
    listen: {
      type: 'string',
      format: 'listen-address',
      default: '0.0.0.0:8443',
      description: 'where /mutate is served, by HTTPS',
    },
    opsListen: {
      type: 'string',
      format: 'listen-address',
      default: '0.0.0.0:8081',
      description: 'where /metrics, /livez and /readyz are served',
    },
    namespace: {
      type: 'string',
      pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
      default: 'gitlab-runner-hadr',
      description: 'the namespace the webhook runs in; its pods are never touched',
    },
    certificates: {
      type: 'object',
      default: { mode: 'self' },
      required: ['mode'],
      discriminator: { propertyName: 'mode' },
      oneOf: [
        {
          additionalProperties: false,
          properties: { mode: { const: 'self', description: 'CA and leaf are made here and kept in Secrets' } },
        },
        {
          additionalProperties: false,
          required: ['cert', 'key'],
          properties: {
            mode: { const: 'files', description: 'somebody else renews these files; they are read again on change' },
            cert: { ...file, description: 'PEM certificate chain' },
            key: { ...file, description: 'PEM private key' },
          },
        },
      ],
    },
    sidecar: {
      type: 'object',
      additionalProperties: false,
      required: ['image'],
      properties: {
        image: {
          type: 'string',
          pattern: '^[a-zA-Z0-9][a-zA-Z0-9._:/@-]{0,510}$',
          description: 'an image reference such as registry.example.com/gitlab-runner-hadr:1.0.0',
        },
        gitlabUrl: { type: 'string', format: 'http-url', description: 'the GitLab, or its /api/v4' },
        gitlabGroupId: {
          type: ['integer', 'string'],
          description: 'id or full path of the group that owns the runners',
        },
        tokenSecret: {
          type: 'string',
          pattern: '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$',
          description: 'optional Secret in the namespace of the pod, with the GitLab token as key `token`',
        },
        native: {
          enum: [false, true, 'auto'],
          default: false,
          description: 'a sidecar among the init containers: true asserts that the cluster has them, auto asks it',
        },
        runnerMetrics: {
          enum: ['auto', 'off'],
          default: 'auto',
          description: 'auto: turn on the metrics of runners of the official chart for the sidecar alone',
        },
        resources: {
          type: 'object',
          default: {},
          additionalProperties: false,
          properties: {
            requests: {
              type: 'object',
              default: {},
              additionalProperties: false,
              properties: { cpu: { ...cpu, default: '10m' }, memory: { ...memory, default: '64Mi' } },
            },
            limits: {
              type: 'object',
              default: {},
              additionalProperties: false,
              properties: { cpu: { ...cpu, default: '100m' }, memory: { ...memory, default: '128Mi' } },
            },
          },
        },
      },
    },
  },
} as const

export type WebhookConfig = ConfigOf<typeof webhookConfigSchema>
export type SidecarConfig = WebhookConfig['sidecar']
export type Resources = SidecarConfig['resources']

/** Reads the configuration file; all mistakes at once. What it lets through gives a valid container for every pod. */
export const readWebhookConfig = createConfigReader(webhookConfigSchema, ({ sidecar, ...addresses }) => [
  ...addressMistakes(addresses),
  ...gitlabMistakes(sidecar),
  ...resourceMistakes(sidecar.resources),
])

/** Tells two configurations of the sidecar apart in logs and audit annotations: 12 hexadecimal digits. */
export function digestOf(sidecar: SidecarConfig): string {
  return createHash('sha256').update(JSON.stringify(sidecar)).digest('hex').slice(0, 12)
}

/** A group's id or full path, as GitLab writes it. */
export function isGroupId(text: string): boolean {
  return /^[\w.-]+(?:\/[\w.-]+)*$/.test(text) && text.length <= 255 && !text.startsWith('-')
}

function addressMistakes({ listen, opsListen }: Pick<WebhookConfig, 'listen' | 'opsListen'>): Mistake[] {
  const ports = [listen, opsListen].map(address => parseListenAddress(address)?.port ?? 0)
  return ports[0] === ports[1] && ports[0] !== 0
    ? [{ path: 'opsListen', rule: 'must have another port than listen' }]
    : []
}

function gitlabMistakes({ gitlabUrl, gitlabGroupId, tokenSecret }: SidecarConfig): Mistake[] {
  const mistakes: Mistake[] = []
  const at = (key: string, rule: string) => mistakes.push({ path: `sidecar.${key}`, rule })
  if (gitlabUrl === undefined) {
    if (tokenSecret !== undefined) at('gitlabUrl', 'is required, since the token is of no use without it')
  } else {
    const { username, password } = new URL(gitlabUrl)
    if (username !== '' || password !== '') at('gitlabUrl', 'must not hold a user or password')
    // Kubernetes replaces $(NAME) in a container's arguments by a variable's value.
    if (gitlabUrl.includes('$(')) at('gitlabUrl', 'must not hold $(')
  }
  if (gitlabGroupId !== undefined && !(isGroupId(String(gitlabGroupId)) && gitlabGroupId !== 0)) {
    at('gitlabGroupId', 'must be a group’s number or full path')
  }
  return mistakes
}

function resourceMistakes({ requests, limits }: Resources): Mistake[] {
  return (['cpu', 'memory'] as const).flatMap(name => {
    const request = parseQuantity(requests[name])
    const limit = parseQuantity(limits[name])
    const path = `sidecar.resources.limits.${name}`
    if (limit === undefined || limit === 0) return [{ path, rule: 'must be more than nothing' }]
    return request === undefined || request > limit ? [{ path, rule: 'must be at least the request' }] : []
  })
}
