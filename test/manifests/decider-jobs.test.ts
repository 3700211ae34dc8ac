import { writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'
import { startJobWatch } from '../../decider/jobs/watch.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import type { Rule } from '../../simulator/kubernetes/access.ts'
import { addJobPod } from '../../simulator/kubernetes/job-pod.ts'
import { records } from '../../simulator/kubernetes/values.ts'
import { lacksKubectl } from '../support/kubectl.ts'
import { open, startApi } from '../support/kubernetes.ts'
import { until } from '../support/until.ts'
import { at, podTemplate, render, restrictedViolations } from './rendering.ts'

const skip = lacksKubectl()
const NAME = 'gitlab-runner-hadr-decider-jobs'

t.test(
  'the component gives the decider the pods of jobs and a folder, and nothing that is restricted',
  { skip },
  async t => {
    const folder = t.testdir()
    const path = (name: string) => relative(folder, join('manifests', name))
    const components = [path('components/decider-jobs')]
    writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify({ resources: [path('decider')], components }))
    const rendering = await render(folder)

    const { spec, container } = podTemplate(rendering)
    t.strictSame(restrictedViolations(spec), [])
    const mount = records(container['volumeMounts']).find(({ mountPath }) => mountPath === '/var/lib/hadr/jobs')
    const volume = records(spec['volumes']).find(({ name }) => name === mount?.['name'])
    t.match(volume, { emptyDir: { sizeLimit: '1Gi' } })
    t.strictSame(at(rendering.the('RoleBinding', NAME), 'subjects.0'), {
      kind: 'ServiceAccount',
      name: 'gitlab-runner-hadr-decider',
      namespace: 'gitlab-runner-hadr',
    })

    // The rights as they are rendered, against an API server that enforces them.
    const role = rendering.the('Role', NAME)
    const namespace = String(at(role, 'metadata.namespace'))
    const api = await startApi(t, { rbac: true })
    api.state.addToken('decider', { username: 'decider' }, [{ role: NAME, namespace, rules: role['rules'] as Rule[] }])
    const { connection } = await open(t, api, { token: 'decider' })
    const watch = startJobWatch({
      connection,
      namespaces: [namespace],
      selector: 'job.runner.gitlab.com/pod',
      clock: systemClock,
      random: Math.random,
      log: silentLog,
      onEnded: () => undefined,
    })
    t.teardown(() => watch.stop())
    await until('the first list', 10_000, () => watch.silentForMs()[namespace] !== null)
    addJobPod(api.state, { namespace, jobId: 1, projectId: 1 }).start(Date.now())
    await until('the watch', 10_000, () => watch.running(1) !== undefined)
  },
)
