import { setMaxListeners } from 'node:events'
import { MEASURES } from './figures/measures.ts'
import { runSeed } from './run.ts'
import type { Task, TaskResult } from './workers.ts'

// Every request under way listens to the simulated GitLab itself.
setMaxListeners(0)

async function answer(task: Task): Promise<TaskResult> {
  if (task.kind === 'seed') return { kind: 'seed', result: await runSeed(task.seed) }
  const measure = MEASURES[task.name]
  if (!measure) throw new Error(`no figure ${task.name}`)
  return { kind: 'figure', values: await measure(task.part) }
}

process.on('message', (task: Task) => {
  void answer(task).then(result => process.send?.(result))
})
