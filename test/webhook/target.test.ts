import { readFileSync } from 'node:fs'
import t from 'tap'
import { SKIP_REASONS, warningFor, type SkipReason } from '../../webhook/reasons.ts'
import { target, type TargetRequest } from '../../webhook/target.ts'

interface Row {
  pod: string
  namespaceLabel: string | null
  labels: Record<string, string> | null
  annotations: Record<string, string> | null
  restartPolicy: string
  expected: boolean
}

const { truthTable } = JSON.parse(readFileSync('test/recordings/kubernetes/matching.json', 'utf8')) as {
  truthTable: Row[]
}
const REQUEST: TargetRequest = {
  operation: 'CREATE',
  group: '',
  version: 'v1',
  kind: 'Pod',
  subResource: '',
  namespace: 'team-runners',
}
const CONFIG = { ownNamespace: 'gitlab-runner-hadr' }

const podOf = (labels: object | null, spec: object = {}, metadata: object = {}) => ({
  metadata: { name: 'p', labels, ...metadata },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
})
const RUNNER = { app: 'gl-gitlab-runner', chart: 'gitlab-runner-0.86.0' }
const JOB_NAME = 'runner-pxy12abcd-project-4711-concurrent-0-k2v9x0ab'

t.test('the handler decides as the recorded selectors and conditions did, and knows GitHub’s runners besides', t => {
  for (const row of truthTable.filter(({ namespaceLabel }) => namespaceLabel === 'enabled')) {
    const spec = row.restartPolicy === '(absent)' ? {} : { restartPolicy: row.restartPolicy }
    const verdict = target(podOf(row.labels, spec, { annotations: row.annotations }), REQUEST, CONFIG)
    const expected = row.expected && !row.pod.startsWith('github')
    t.equal('inject' in verdict, expected, `${row.pod}: ${JSON.stringify(verdict)}`)
  }
  t.equal(truthTable.filter(({ namespaceLabel }) => namespaceLabel === 'enabled').length > 40, true)
  t.end()
})

const skips: Record<string, [SkipReason, unknown, Partial<TargetRequest>?]> = {
  'an update is not ours to change': ['notPodCreation', podOf(RUNNER), { operation: 'UPDATE' }],
  'a deletion has no pod to change': ['notPodCreation', null, { operation: 'DELETE' }],
  'a connection is not ours': ['notPodCreation', {}, { operation: 'CONNECT', kind: 'PodExecOptions' }],
  'a binding is created, but is no pod': ['notPodCreation', {}, { kind: 'Binding', subResource: 'binding' }],
  'an ephemeral container is no new pod': ['notPodCreation', podOf(RUNNER), { subResource: 'ephemeralcontainers' }],
  'a pod of another API group is none': ['notPodCreation', podOf(RUNNER), { group: 'metrics.k8s.io' }],
  'another version of Pod is unknown': ['notPodCreation', podOf(RUNNER), { version: 'v2' }],
  'kube-system is left alone': ['protectedNamespace', podOf(RUNNER), { namespace: 'kube-system' }],
  'the own namespace is left alone': ['protectedNamespace', podOf(RUNNER), { namespace: 'gitlab-runner-hadr' }],
  'no object is no pod': ['malformedPod', null],
  'a list is no pod': ['malformedPod', []],
  'a pod without spec is none': ['malformedPod', { metadata: { labels: RUNNER } }],
  'a pod without metadata is none': ['malformedPod', { spec: {} }],
  'opting out beats a runner’s labels': ['optedOut', podOf({ ...RUNNER, 'gitlab-runner-hadr.io/inject': 'disabled' })],
  'false means disabled': ['optedOut', podOf({ ...RUNNER, 'gitlab-runner-hadr.io/inject': 'False' })],
  'a mirror pod is its kubelet’s': [
    'mirrorPod',
    podOf(RUNNER, {}, { annotations: { 'kubernetes.io/config.mirror': '' } }),
  ],
  'a pause pod is none': ['pausePod', podOf({ ...RUNNER, 'runner.gitlab.com/pause-pod': 'false' })],
  'a pause pod has a manager’s labels too': [
    'pausePod',
    podOf({ 'runner.gitlab.com/pause-pod': 'true', 'manager.runner.gitlab.com/id-short': 'x' }),
  ],
  'a job pod with an empty label is one': ['ciJobPod', podOf({ ...RUNNER, 'job.runner.gitlab.com/pod': '' })],
  'a job label is one in any case': ['ciJobPod', podOf({ ...RUNNER, 'Job.Runner.GitLab.com/pod': 'x' })],
  'a project label tells a job pod': ['ciJobPod', podOf({ ...RUNNER, 'project.runner.gitlab.com/id': '4711' })],
  'a manager label tells a job pod': ['ciJobPod', podOf({ ...RUNNER, 'manager.runner.gitlab.com/name': 'eu' })],
  'annotations tell a job pod of 15.9': [
    'ciJobPod',
    podOf(RUNNER, {}, { annotations: { 'job.runner.gitlab.com/id': '1' } }),
  ],
  'a name tells a job pod of 15.8': ['ciJobPod', podOf(RUNNER, {}, { name: JOB_NAME })],
  'a generated name may tell it too': [
    'ciJobPod',
    podOf(RUNNER, {}, { name: undefined, generateName: 'runner-t-project-1-concurrent-22-' }),
  ],
  'the label pod may tell it': ['ciJobPod', podOf({ ...RUNNER, pod: JOB_NAME })],
  'a job pod that opted in is still one': [
    'ciJobPod',
    podOf({ 'gitlab-runner-hadr.io/inject': 'enabled', pod: JOB_NAME }, { restartPolicy: 'Never' }),
  ],
  'a pod that runs once is no runner': ['notRestarted', podOf(RUNNER, { restartPolicy: 'Never' })],
  'a pod that may end is no runner': ['notRestarted', podOf(RUNNER, { restartPolicy: 'OnFailure' })],
  'an unknown restartPolicy is not Always': ['notRestarted', podOf(RUNNER, { restartPolicy: 'always' })],
  'a pod on the host’s network keeps its ports': ['hostNetwork', podOf(RUNNER, { hostNetwork: true })],
  'a strange hostNetwork counts as true': ['hostNetwork', podOf(RUNNER, { hostNetwork: 'no' })],
  'a pod without labels is no runner': ['notRunner', podOf(null)],
  'labels of a wrong type are none': ['notRunner', podOf(['gitlab-runner'])],
  'a chart of another name is no runner': ['notRunner', podOf({ chart: 'gitlab-8.0.0' })],
  'an app that only contains the name is no runner': ['notRunner', podOf({ app: 'my-gitlab-runner-2' })],
  'the operator itself is no runner': [
    'notRunner',
    podOf({ 'app.kubernetes.io/component': 'operator', 'app.kubernetes.io/name': 'gitlab-runner-operator' }),
  ],
  'a runner of GitHub is not ours': [
    'notRunner',
    podOf({ 'app.kubernetes.io/component': 'runner', 'actions.github.com/scale-set-name': 'x' }),
  ],
  'keys of a prototype are no labels': [
    'notRunner',
    podOf(JSON.parse('{"__proto__": {"app": "gitlab-runner"}}') as object),
  ],
}

for (const [sentence, [reason, pod, request]] of Object.entries(skips)) {
  t.test(sentence, t => {
    t.strictSame(target(pod, { ...REQUEST, ...request }, CONFIG), { skip: reason })
    t.end()
  })
}

const injected: Record<string, unknown> = {
  'a pod of the chart is a runner': podOf(RUNNER),
  'a chart’s pod with any full name is a runner': podOf({ app: 'blue-ci', chart: 'gitlab-runner-0.52.1' }),
  'a pod of the Operator is a runner': podOf({
    'app.kubernetes.io/component': 'runner',
    'app.kubernetes.io/name': 'eu',
  }),
  'a pod named by the recommended label is a runner': podOf({ 'app.kubernetes.io/name': 'gitlab-runner' }),
  'a bare pod that opted in is a runner': podOf({ 'gitlab-runner-hadr.io/inject': 'enabled' }),
  'a label value that is neither word changes nothing': podOf({ ...RUNNER, 'gitlab-runner-hadr.io/inject': 'true' }),
  'a label pod of other meaning is no job pod': podOf({ ...RUNNER, pod: 'red' }),
  'hostNetwork false is the pod network': podOf(RUNNER, { hostNetwork: false, restartPolicy: 'Always' }),
  'opting in makes a GitHub-like pod ours': podOf({
    'gitlab-runner-hadr.io/inject': 'enabled',
    'actions.github.com/x': 'y',
  }),
}

for (const [sentence, pod] of Object.entries(injected)) {
  t.test(sentence, t => {
    t.strictSame(target(pod, REQUEST, CONFIG), { inject: true })
    t.end()
  })
}

t.test('what a user is told fits a warning header', t => {
  for (const reason of Object.keys(SKIP_REASONS) as SkipReason[]) {
    const sentence = warningFor(reason) ?? SKIP_REASONS[reason]
    t.ok(sentence.length <= 100 && !/[\n\t]/.test(sentence), sentence)
  }
  t.equal(warningFor('ciJobPod'), undefined)
  t.match(warningFor('portTaken'), /^no sidecar: another container declares port 9254/)
  t.end()
})
