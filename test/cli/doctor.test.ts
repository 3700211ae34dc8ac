import t from 'tap'
import { CHECKS } from '../../cli/doctor.ts'
import { createTestAuthority } from '../support/authority.ts'
import { createHealthyScene, NAMESPACE, OWN_NAMESPACE, PROJECT_TOKEN, type Scene, TOKEN } from './doctor-scene.ts'

interface Report {
  ok: number
  failed: number
  skipped: number
  checks: { id: string; title: string; status: string; detail: string; mend?: string }[]
}

async function diagnose(scene: Scene): Promise<{ code: number; report: Report }> {
  const { code, stdout, stderr } = await scene.run('-o', 'json')
  for (const secret of [TOKEN, PROJECT_TOKEN]) t.notMatch(stdout + stderr, secret)
  return { code, report: JSON.parse(stdout) as Report }
}

interface Fault {
  fault: string
  /** Breaks one thing. */
  inject: (scene: Scene) => unknown
  check: string
  says: RegExp
  mend: RegExp
}

const CLOSED_PORT = 'http://127.0.0.1:9'

const FAULTS: readonly Fault[] = [
  {
    fault: 'GitLab cannot be reached',
    inject: ({ settings }) => (settings.gitlabUrl = CLOSED_PORT),
    check: 'gitlab-reachable',
    says: /GitLab does not answer: .*ECONNREFUSED/,
    mend: /name resolution, network policies/,
  },
  {
    fault: 'the token was revoked',
    inject: ({ gitlab }) => gitlab.state.revokeToken(TOKEN),
    check: 'gitlab-reachable',
    says: /GitLab refuses the token: .*revoked/,
    mend: /new token/,
  },
  {
    fault: 'the URL leads to something that is not GitLab',
    inject: ({ settings }) => (settings.gitlabUrl = settings.prometheusUrl),
    check: 'gitlab-reachable',
    says: /is not GitLab’s API/,
    mend: /gitlab\.url/,
  },
  {
    fault: 'the token lacks scopes',
    inject: ({ gitlab }) => gitlab.state.addToken({ token: TOKEN, scopes: ['read_api'], groups: { 33: 'owner' } }),
    check: 'token-scopes',
    says: /lacks the scope manage_runner; .* lacks the scope api/,
    mend: /create a new one/,
  },
  {
    fault: 'the token expires in five days',
    inject: ({ gitlab }) =>
      gitlab.state.addToken({
        token: TOKEN,
        scopes: ['api'],
        groups: { 33: 'owner' },
        expiresAtMs: gitlab.state.nowMs() + 6 * 86_400_000,
      }),
    check: 'token-expiry',
    says: /gitlab\.tokenFile expires on 20\d\d-\d\d-\d\d, in 5 days/,
    mend: /Rotate it/,
  },
  {
    fault: 'the token is a Maintainer of the group only',
    inject: ({ gitlab }) => gitlab.state.addToken({ token: TOKEN, scopes: ['api'], groups: { 33: 'maintainer' } }),
    check: 'group-role',
    says: /Maintainer: it reads the runners but may not change their tags/,
    mend: /role Owner in group 33/,
  },
  {
    fault: 'the group’s id is wrong',
    inject: ({ settings }) => (settings.group = 99),
    check: 'runners-listed',
    says: /runners of group 99 cannot be listed/,
    mend: /gitlab\.group/,
  },
  {
    fault: 'the HADR project’s id is wrong',
    inject: ({ settings }) => (settings.project = 999),
    check: 'project-write',
    says: /project 999 does not exist or the token may not see it/,
    mend: /gitlab\.project/,
  },
  {
    fault: 'the project token is a Reporter',
    inject: scene => {
      scene.settings.projectToken = true
      scene.gitlab.state.addToken({ token: PROJECT_TOKEN, scopes: ['api'], projects: { 101: 'reporter' } })
    },
    check: 'project-write',
    says: /below Developer, so it cannot publish to hadr\/a/,
    mend: /Developer of the HADR project/,
  },
  {
    fault: 'the status branch is protected for somebody else',
    inject: scene => {
      scene.settings.projectToken = true
      scene.gitlab.state.addToken({ token: PROJECT_TOKEN, scopes: ['api'], projects: { 101: 'developer' } })
    },
    check: 'project-write',
    says: /may not push to hadr\/a/,
    mend: /with force push/,
  },
  {
    fault: 'the HADR project is public',
    inject: ({ gitlab }) => {
      const project = gitlab.state.addProject({ id: 102, fullPath: 'ci/open', group: 33, visibility: 'public' })
      return project
    },
    check: 'project-private',
    says: /ci\/open is public/,
    mend: /Private/,
  },
  {
    fault: 'a status branch is not protected',
    inject: ({ gitlab }) => gitlab.state.unprotect(101, 'hadr/b'),
    check: 'branches-protected',
    says: /hadr\/b is not protected/,
    mend: /Protect each hadr\/<cluster>/,
  },
  {
    fault: 'a status branch refuses force pushes',
    inject: ({ gitlab }) => gitlab.state.protect({ project: 101, branch: 'hadr/a', pushTokens: [TOKEN] }),
    check: 'branches-protected',
    says: /hadr\/a refuses force pushes, so no heartbeat arrives/,
    mend: /force push allowed/,
  },
  {
    fault: 'Developers may push to the default branch',
    inject: ({ gitlab }) => gitlab.state.protect({ project: 101, branch: 'main', pushRole: 'developer' }),
    check: 'branches-protected',
    says: /every Developer may push to main, and so steer/,
    mend: /main for Maintainers/,
  },
  {
    fault: 'the deciders have different configurations',
    inject: ({ publish }) => publish('b', { digest: 'another' }),
    check: 'deciders-agree',
    says: /differs from that of b \(pool rnd-runner\), so nothing would move/,
    mend: /same main tag, clusters/,
  },
  {
    fault: 'a cluster’s decider has never published',
    inject: ({ gitlab, settings }) => {
      settings.tagOfB = 'runner-b'
      gitlab.state.addProject({ id: 103, fullPath: 'ci/empty', group: 33 })
      settings.project = 103
    },
    check: 'deciders-agree',
    says: /no fresh status from a \(pool rnd-runner\), b \(pool rnd-runner\)/,
    mend: /Start the decider/,
  },
  {
    fault: 'no runner carries a cluster’s tag',
    inject: ({ gitlab }) => gitlab.state.editRunner(2, { tags: ['runner-bb'] }),
    check: 'cluster-tags',
    says: /no runner carries runner-b \(cluster b\)/,
    mend: /cluster tag/,
  },
  {
    fault: 'a runner carries two cluster tags',
    inject: ({ gitlab }) => gitlab.state.editRunner(2, { tags: ['runner-a', 'runner-b'] }),
    check: 'one-cluster',
    says: /runner 2 carries several cluster tags/,
    mend: /take the other away/,
  },
  {
    fault: 'a runner of no cluster carries the main tag',
    inject: ({ gitlab }) => gitlab.state.addRunner({ id: 7, description: 'stray', group: 33, tags: ['rnd-runner'] }),
    check: 'main-tag',
    says: /runner 7 \(stray\) carries rnd-runner but no cluster tag/,
    mend: /Take rnd-runner from it/,
  },
  {
    fault: 'Prometheus cannot be reached',
    inject: ({ settings }) => (settings.prometheusUrl = CLOSED_PORT),
    check: 'prometheus-reachable',
    says: /Prometheus at .* does not answer/,
    mend: /Service’s name/,
  },
  {
    fault: 'what answers is not Prometheus',
    inject: ({ settings }) => (settings.prometheusUrl = settings.gitlabUrl),
    check: 'prometheus-reachable',
    says: /Prometheus at .* does not answer|not Prometheus's API/,
    mend: /./,
  },
  {
    fault: 'Prometheus scrapes no sidecar',
    inject: ({ sidecars }) => sidecars.splice(0),
    check: 'prometheus-series',
    says: /knows no sidecar: no target and no series/,
    mend: /hadr-metrics/,
  },
  {
    fault: 'the sidecars do not know their runners',
    inject: ({ sidecars }) => {
      for (const sidecar of sidecars) sidecar.metrics = sidecar.metrics.replace(/^.*runner_info.*\n/m, '')
    },
    check: 'prometheus-series',
    says: /runner_info is missing/,
    mend: /runner id, or a token/,
  },
  {
    fault: 'it is another cluster’s Prometheus',
    inject: ({ sidecars }) => {
      for (const sidecar of sidecars) sidecar.metrics = sidecar.metrics.replace('runner_id="1"', 'runner_id="2"')
    },
    check: 'prometheus-series',
    says: /no scraped sidecar belongs to a runner with this cluster’s tag/,
    mend: /Prometheus of this cluster/,
  },
  {
    fault: 'the sidecars are scraped under another job',
    inject: ({ sidecars }) => {
      for (const sidecar of sidecars) sidecar.job = 'pods'
    },
    check: 'prometheus-series',
    says: /under no job that .* matches: pods/,
    mend: /prometheus\.job/,
  },
  {
    fault: 'the Kubernetes API cannot be reached',
    inject: ({ stopKubernetes }) => stopKubernetes(),
    check: 'kubernetes-reachable',
    says: /the API server does not answer/,
    mend: /KUBECONFIG/,
  },
  {
    fault: 'the webhook is not configured',
    inject: ({ kubernetes }) => kubernetes.remove('webhookConfigurations', '', 'gitlab-runner-hadr'),
    check: 'webhook-configuration',
    says: /no webhook configuration gitlab-runner-hadr/,
    mend: /manifests\/base/,
  },
  {
    fault: 'the caBundle is missing',
    inject: ({ putWebhook }) => putWebhook({ clientConfig: { caBundle: '' } }),
    check: 'webhook-configuration',
    says: /no caBundle that holds a certificate/,
    mend: /the webhook writes it/,
  },
  {
    fault: 'the failure policy is Fail',
    inject: ({ putWebhook }) => putWebhook({ failurePolicy: 'Fail' }),
    check: 'webhook-configuration',
    says: /keeps runners from starting/,
    mend: /failurePolicy: Ignore/,
  },
  {
    fault: 'the webhook’s Service is missing',
    inject: ({ kubernetes }) => kubernetes.remove('services', OWN_NAMESPACE, 'gitlab-runner-hadr-webhook'),
    check: 'webhook-service',
    says: /there is no Service gitlab-runner-hadr\/gitlab-runner-hadr-webhook/,
    mend: /manifests\/base/,
  },
  {
    fault: 'the caBundle is that of another authority',
    inject: ({ putWebhook }) => {
      const other = Buffer.from(createTestAuthority('another authority').certPem).toString('base64')
      putWebhook({ clientConfig: { caBundle: other } })
    },
    check: 'webhook-service',
    says: /not trusted with the caBundle: [A-Z_]+/,
    mend: /rotation/,
  },
  {
    fault: 'nothing listens behind the Service',
    inject: ({ service }) => (service.port = 9),
    check: 'webhook-service',
    says: /cannot be reached: .*ECONNREFUSED/,
    mend: /network policies/,
  },
  {
    fault: 'the runners’ namespace has not opted in',
    inject: ({ kubernetes }) => kubernetes.addNamespace(NAMESPACE),
    check: 'selectors-match',
    says: /namespace gitlab-runners has no label/,
    mend: /^kubectl label namespace gitlab-runners gitlab-runner-hadr\.io\/inject=enabled$/,
  },
  {
    fault: 'the runner pods have labels that nobody expects',
    inject: ({ putPod }) => putPod('ci-1', { app: 'builders', 'pod-template-hash': 'abc' }, false),
    check: 'selectors-match',
    says: /none of the 1 pods .*ci-1: the pod has none of the labels of a GitLab runner \(labels: app=builders\)/,
    mend: /gitlab-runner-hadr\.io\/inject=enabled \(podLabels/,
  },
  {
    fault: 'a runner pod has no sidecar',
    inject: ({ putPod }) => putPod('ci-2', { app: 'ci-gitlab-runner' }, false),
    check: 'sidecars-present',
    says: /1 of 2 runner pods have no sidecar: ci-2/,
    mend: /rollout restart/,
  },
  {
    fault: 'the quota leaves no room',
    inject: ({ kubernetes, putPod }) => {
      putPod('ci-2', { app: 'ci-gitlab-runner' }, false)
      kubernetes.put('resourceQuotas', {
        metadata: { name: 'team', namespace: NAMESPACE },
        spec: { hard: { 'limits.memory': '1Gi' } },
        status: { hard: { 'limits.memory': '1Gi' }, used: { 'limits.memory': '960Mi' } },
      })
    },
    check: 'quota',
    says: /quota team leaves 64Mi of limits\.memory, 1 sidecars need 128Mi/,
    mend: /Raise the quota/,
  },
  {
    fault: 'a LimitRange refuses the sidecar',
    inject: ({ kubernetes }) =>
      kubernetes.put('limitRanges', {
        metadata: { name: 'floor', namespace: NAMESPACE },
        spec: { limits: [{ type: 'Container', min: { cpu: '100m' }, maxLimitRequestRatio: { memory: '1' } }] },
      }),
    check: 'limit-range',
    says: /floor wants at least 100m of cpu, the sidecar requests 10m; .*at most 1 times the requests of memory/,
    mend: /sidecar\.resources/,
  },
  {
    fault: 'the distributed cache is not Shared',
    inject: ({ kubernetes }) =>
      kubernetes.put('configMaps', {
        metadata: { name: 'runner-config', namespace: NAMESPACE },
        data: {
          'config.template.toml': '[[runners]]\n  [runners.cache]\n    Type = "s3" # bucket\n    [runners.cache.s3]\n',
        },
      }),
    check: 'cache-shared',
    says: /ConfigMap runner-config, config\.template\.toml: cache of type s3 without Shared = true/,
    mend: /Caches are lost whenever the main tag moves/,
  },
  {
    fault: 'the service account lacks rights',
    inject: ({ kubernetes }) => {
      kubernetes.addToken('kube-decider', { username: 'system:serviceaccount:gitlab-runner-hadr:decider' }, [
        { role: 'reader', rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list'] }] },
      ])
      kubernetes.enforceRbac(true)
    },
    check: 'rights',
    says: /not allowed: update secrets\/gitlab-runner-hadr-ca, patch mutatingwebhookconfigurations/,
    mend: /Roles of manifests\/base/,
  },
]

t.test('where nothing is wrong every check is ok', async t => {
  const scene = await createHealthyScene(t)
  const { code, report } = await diagnose(scene)
  t.same(
    report.checks.filter(({ status }) => status !== 'ok'),
    [],
  )
  t.equal(code, 0)
  t.equal(report.ok, CHECKS.length)
  const { stdout } = await scene.run()
  t.match(stdout, /^ok {7}The HADR project is private/m)
  t.match(stdout, new RegExp(`\n${CHECKS.length} ok, 0 failed, 0 skipped\n$`))
})

for (const { fault, inject, check, says, mend } of FAULTS) {
  t.test(`it finds that ${fault}`, async t => {
    const scene = await createHealthyScene(t)
    await inject(scene)
    if (check === 'project-private') scene.settings.project = 102
    const { code, report } = await diagnose(scene)
    const found = report.checks.find(({ id }) => id === check)
    t.equal(found?.status, 'failed')
    t.match(found?.detail, says)
    t.match(found?.mend, mend)
    t.equal(code, 1)
  })
}

t.test('what may not be read is skipped with the right that it needs, and nothing has failed', async t => {
  const scene = await createHealthyScene(t)
  scene.settings.projectToken = true
  scene.gitlab.state.addToken({ token: PROJECT_TOKEN, scopes: ['api'], projects: { 101: 'developer' } })
  scene.gitlab.state.protect({ project: 101, branch: 'hadr/a', pushTokens: [TOKEN, PROJECT_TOKEN], allowForce: true })
  scene.kubernetes.enforceRbac(true)
  scene.settings.insideCluster = false
  const { report } = await diagnose(scene)
  const verdict = (id: string) => report.checks.find(check => check.id === id)
  t.match(verdict('branches-protected'), { status: 'skipped', detail: /needs the role Maintainer/ })
  t.match(verdict('selectors-match'), { status: 'skipped', detail: /needs get on the runners’ namespace/ })
  t.match(verdict('cache-shared'), { status: 'skipped', detail: /needs list on pods/ })
  t.match(verdict('webhook-configuration'), { status: 'skipped', detail: /needs get on mutatingwebhook/ })
})

t.test('outside of a cluster the Service is not tried, and a missing file or flag says what to give', async t => {
  const scene = await createHealthyScene(t)
  scene.settings.insideCluster = false
  scene.settings.webhookConfig = false
  const { code, report } = await diagnose(scene)
  t.equal(code, 0)
  const verdict = (id: string) => report.checks.find(check => check.id === id)
  t.match(verdict('webhook-service'), { status: 'skipped', detail: /from inside the cluster only/ })
  t.match(verdict('quota'), { status: 'skipped', detail: /needs --webhook-config/ })
  t.match(await scene.run('--webhook-config', 'nothing.yaml'), { code: 78, stderr: /nothing\.yaml: cannot be read/ })
  t.match(await scene.run('--loud'), { code: 2, stderr: /unknown option/ })
})

t.test('a GitLab that hangs keeps no other check from its verdict', async t => {
  const scene = await createHealthyScene(t)
  scene.settings.checkDeadlineMs = 1500
  scene.gitlab.faults.add({ fault: { kind: 'hang' }, route: '/projects/:id/protected_branches' })
  const { report } = await diagnose(scene)
  t.match(
    report.checks.find(({ id }) => id === 'branches-protected'),
    { status: 'skipped', detail: /no answer within/ },
  )
  t.equal(report.checks.length, CHECKS.length)
})
