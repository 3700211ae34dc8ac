import type { Mistake } from '../../lib/service/config.ts'
import type { ConfigOf } from '../../lib/service/config-type.ts'
import { DEFAULT_QUERIES, MAX_QUERIES, type JobQuery } from './queries.ts'

/** `jobs:` of the decider's configuration; without it nothing is watched. */
export const jobsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['namespaces', 'folder'],
  description: 'the metrics of each CI job: collected when it ends, kept, and served to the job itself',
  properties: {
    namespaces: {
      type: 'array',
      minItems: 1,
      maxItems: 6,
      uniqueItems: true,
      items: {
        type: 'string',
        pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
        description: 'a namespace in Kubernetes: lower-case letters, digits and hyphens, at most 63',
      },
      description: 'where the runners put the pods of jobs; needs get, list and watch of pods there',
    },
    selector: {
      type: 'string',
      minLength: 1,
      default: 'job.runner.gitlab.com/pod',
      description: 'label selector of the pods of jobs; `pod` for GitLab Runner before 17.9',
    },
    folder: {
      type: 'string',
      minLength: 1,
      description: 'where the metrics are kept; no other process may write there',
    },
    keepDays: {
      type: 'number',
      minimum: 0.01,
      maximum: 3650,
      default: 7,
      description: 'older ones are removed',
    },
    keepMiB: {
      type: 'integer',
      minimum: 1,
      maximum: 1_000_000,
      default: 512,
      description: 'beyond this the oldest are removed',
    },
    scrapeSeconds: {
      type: 'number',
      minimum: 1,
      maximum: 300,
      default: 30,
      description: 'how often Prometheus scrapes the kubelets',
    },
    queries: {
      type: 'array',
      minItems: 1,
      maxItems: MAX_QUERIES,
      description: 'instead of the built-in ones',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['name', 'query'],
        properties: {
          name: {
            type: 'string',
            pattern: '^[a-z][a-z0-9_]{0,39}$',
            description: 'lower-case letters, digits and underscores, at most 40',
          },
          query: {
            type: 'string',
            minLength: 1,
            maxLength: 4000,
            description: 'PromQL with {selector} and, for rates, {interval}',
          },
          unit: { type: 'string', maxLength: 40, default: '', description: 'of the values, for people' },
          integrate: { type: 'boolean', default: false, description: 'a rate whose sum over time is wanted' },
        },
      },
    },
    audience: {
      type: 'string',
      minLength: 1,
      default: 'gitlab-runner-hadr',
      description: 'the aud of the id_token by which a job asks',
    },
    issuer: {
      type: 'string',
      format: 'http-url',
      description: 'the iss of id_tokens, where GitLab is known to users by another URL; default: gitlab.url',
    },
    package: {
      type: 'boolean',
      default: false,
      description: 'store them in the HADR project too, as generic package job-metrics/<job id>',
    },
    page: {
      type: 'boolean',
      default: false,
      description: 'a page with plots for each job, for whoever reaches this port',
    },
  },
} as const

export type JobsConfig = ConfigOf<typeof jobsSchema>

export function queriesOf({ queries }: Pick<JobsConfig, 'queries'>): readonly JobQuery[] {
  return queries ?? DEFAULT_QUERIES
}

/** Rules between the fields of `jobs`. Whether a query is PromQL, Prometheus says when it is asked. */
export function mistakesOfJobs({ queries = [] }: Pick<JobsConfig, 'queries'>): Mistake[] {
  const names = queries.map(({ name }) => name)
  return queries.flatMap(({ name, query }, index) => {
    const path = `jobs.queries[${index}]`
    const first = names.indexOf(name)
    return [
      ...(first === index ? [] : [{ path: `${path}.name`, rule: `must be unique; queries[${first}] has it too` }]),
      ...(query.includes('{selector}')
        ? []
        : [
            {
              path: `${path}.query`,
              rule: 'must hold {selector}, as in container_memory_rss{{selector}}: it would ask for all pods otherwise',
            },
          ]),
    ]
  })
}
