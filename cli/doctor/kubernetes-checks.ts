import { CA_SECRET, WEBHOOK_CONFIGURATION } from '../../certs/names.ts'
import type { AccessQuestion } from '../../lib/kubernetes/types.ts'
import { KubernetesError } from '../../lib/kubernetes/errors.ts'
import { CONTAINER_NAME } from '../../webhook/names.ts'
import type { Resources } from '../../webhook/config.ts'
import { failed, ok, Skip, skipped, type Check, type Verdict } from './check.ts'
import type { DoctorContext } from './context.ts'
import type { KubernetesFacts } from './kubernetes-facts.ts'
import { judgeCache } from './judge-cache.ts'
import { hasContainer, judgeLimitRanges, judgeQuota } from './judge-resources.ts'
import { judgeConfiguration, judgeSelectors, judgeSidecars, runnerPods, servedBy } from './judge-webhook.ts'

const DEFAULT_NAMESPACE = 'gitlab-runner-hadr'

export const kubernetesChecks: readonly Check<DoctorContext>[] = [
  {
    id: 'kubernetes-reachable',
    title: 'The Kubernetes API answers',
    needs: 'nothing',
    run: async context => {
      const facts = kubernetes(context)
      try {
        return ok(await facts.version())
      } catch (error) {
        if (!(error instanceof KubernetesError) || error.kind === 'forbidden') throw error
        return failed(
          `the API server does not answer: ${error.message}`,
          'Look at KUBECONFIG, its context and its credentials.',
        )
      }
    },
  },
  {
    id: 'webhook-configuration',
    title: 'The webhook is configured, with a valid caBundle',
    needs: `get on mutatingwebhookconfigurations/${WEBHOOK_CONFIGURATION}`,
    run: async context => judgeConfiguration(await kubernetes(context).webhookConfiguration(), context.nowMs()),
  },
  {
    id: 'webhook-service',
    title: 'The webhook’s Service is reached over TLS with the caBundle',
    needs: `get on mutatingwebhookconfigurations/${WEBHOOK_CONFIGURATION} and on services`,
    run: reachService,
  },
  {
    id: 'selectors-match',
    title: 'The webhook’s selectors find the runner pods',
    needs: 'get on the runners’ namespace and list on its pods',
    run: async context => judgeSelectors(await podScene(context)),
  },
  {
    id: 'sidecars-present',
    title: 'Every runner pod has the sidecar',
    needs: 'list on pods in the runners’ namespace',
    run: async context => judgeSidecars(await podScene(context)),
  },
  {
    id: 'quota',
    title: 'The quota leaves room for the sidecars',
    needs: 'list on resourcequotas and pods in the runners’ namespace',
    run: async context => {
      const quotas = await kubernetes(context).quotas()
      const runners = runnerPods(await podScene(context))
      const bare = runners.filter(pod => !hasContainer(pod, CONTAINER_NAME)).length
      return judgeQuota(quotas, resourcesOf(context), runners.length === 0 ? 1 : bare)
    },
  },
  {
    id: 'limit-range',
    title: 'No LimitRange refuses the sidecar',
    needs: 'list on limitranges in the runners’ namespace',
    run: async context => judgeLimitRanges(await kubernetes(context).limitRanges(), resourcesOf(context)),
  },
  {
    id: 'cache-shared',
    title: 'The distributed cache is Shared, so that caches survive a move',
    needs: 'list on pods, get on the ConfigMaps and Secrets that they mount',
    run: async context => judgeCache(await kubernetes(context).runnerConfigs()),
  },
  {
    id: 'rights',
    title: 'Whoever asks has the rights of the webhook and the decider',
    needs: 'create on selfsubjectaccessreviews',
    run: judgeRights,
  },
]

function kubernetes({ kubernetes: facts, kubernetesProblem }: DoctorContext): KubernetesFacts {
  if (!facts) throw new Skip(kubernetesProblem)
  return facts
}

/** Without a configuration of the webhook its defaults count. */
function resourcesOf({ webhook }: DoctorContext): Resources {
  if (!webhook) throw new Skip('needs --webhook-config, the webhook’s configuration file')
  return webhook.sidecar.resources
}

async function podScene(context: DoctorContext) {
  const facts = kubernetes(context)
  const [namespaceObject, pods] = await Promise.all([facts.namespace(), facts.pods()])
  const namespace = context.runnerNamespace
  if (!namespaceObject) throw new Skip(`there is no namespace ${namespace}; name another with --runner-namespace`)
  return { namespace, namespaceObject, pods, ownNamespace: context.webhook?.namespace ?? DEFAULT_NAMESPACE }
}

async function reachService(context: DoctorContext, signal: AbortSignal): Promise<Verdict> {
  const facts = kubernetes(context)
  const served = servedBy(await facts.webhookConfiguration())
  if (!served) return skipped('the webhook is not configured, or it is called by URL')
  const { service, namespace, port, ca } = served
  if (!(await facts.service(namespace, service))) {
    return failed(
      `there is no Service ${namespace}/${service}`,
      'Apply manifests/base, or correct clientConfig.service.',
    )
  }
  if (!context.insideCluster) return skipped('Services can be reached from inside the cluster only: run it in a pod')
  const servername = `${service}.${namespace}.svc`
  try {
    const problem = await context.shakeHands({ host: servername, port, servername, ca }, signal)
    if (problem === undefined) return ok(`${servername}:${port}`)
    return failed(
      `the certificate of ${servername}:${port} is not trusted with the caBundle: ${problem}`,
      'Wait a minute while a rotation is under way; else restart the webhook and look at its log.',
    )
  } catch (error) {
    return failed(
      `${servername}:${port} cannot be reached: ${error instanceof Error ? error.message : String(error)}`,
      'Look whether the webhook’s pods are ready, and at network policies: the API server must reach their port 8443.',
    )
  }
}

/** Knowing desired pods and rollouts takes rights where the runners are. */
function workloadQuestions(config: DoctorContext['config'], home: string): AccessQuestion[] {
  const wanted = [config?.runners, ...(config?.pools ?? []).map(pool => pool.runners)].flatMap(
    workloads => workloads ?? [],
  )
  const namespaces = [...new Set(wanted.map(({ namespace = home }) => namespace))]
  return namespaces.flatMap(namespace =>
    ['deployments', 'statefulsets'].map(resource => ({ verb: 'list', group: 'apps', resource, namespace })),
  )
}

async function judgeRights(context: DoctorContext): Promise<Verdict> {
  const facts = kubernetes(context)
  const { webhook, config } = context
  const namespace = webhook?.namespace ?? DEFAULT_NAMESPACE
  const questions: AccessQuestion[] = [
    ...(webhook?.certificates.mode === 'self'
      ? [
          ...['get', 'update'].map(verb => ({ verb, resource: 'secrets', namespace, name: CA_SECRET })),
          ...['get', 'patch'].map(verb => ({
            verb,
            group: 'admissionregistration.k8s.io',
            resource: 'mutatingwebhookconfigurations',
            name: WEBHOOK_CONFIGURATION,
          })),
        ]
      : []),
    ...(config
      ? ['get', 'update'].map(verb => ({
          verb,
          group: 'coordination.k8s.io',
          resource: 'leases',
          namespace: config.lease.namespace ?? namespace,
          name: config.lease.name ?? `gitlab-runner-hadr-decider-${config.cluster}`,
        }))
      : []),
    ...workloadQuestions(config, namespace),
  ]
  if (questions.length === 0) return skipped('needs --config or --webhook-config')
  const answers = await Promise.all(questions.map(async question => ({ question, may: await facts.allowed(question) })))
  const missing = answers
    .filter(({ may }) => !may)
    .map(({ question }) => `${question.verb} ${question.resource}/${question.name ?? ''}`)
  if (missing.length === 0) return ok(`${questions.length} rights of the user of this kubeconfig or service account`)
  return failed(
    `not allowed: ${missing.join(', ')}`,
    'Apply the Roles of manifests/base. Asked were the rights of whoever runs this: run it as the program’s service account to check that one.',
  )
}
