import type { Random } from '../../lib/service/clock.ts'
import { refusals } from './answers.ts'
import { isStale, newContact, recordContact } from './contacts.ts'
import type { AccessLevel, Manager, ManagerInfo, Runner, RunnerType } from './model.ts'
import type { Observation } from './observation.ts'
import type { RunnerQueue } from './queue.ts'
import type { Store } from './store.ts'
import { uniqueHex, type GitLabTiming, type ServerTime } from './timing.ts'

const MAX_TAGS = 50
const MAX_TAG_LENGTH = 255
const MAX_TEXT_LENGTH = 1024
const MIN_TIMEOUT_SECONDS = 600
/** The clean-up of stale managers deletes no more than this per run. */
const MAX_STALE_PER_RUN = 1000

/** What `PUT /runners/:id` can change; `tags` replaces the whole list. */
export interface RunnerChanges {
  description?: string
  paused?: boolean
  tags?: readonly string[]
  runUntagged?: boolean
  locked?: boolean
  accessLevel?: AccessLevel
  maximumTimeoutSeconds?: number | null
  maintenanceNote?: string
}

export interface NewRunner extends RunnerChanges {
  id?: number
  /** Made up when missing: `glrt-t2_…` for an entity created in GitLab, `t2_…` for one that a pod registers. */
  token?: string
  type: RunnerType
  groupId?: number
  projectIds?: readonly number[]
  name?: string
  /** `registration`: made by `POST /runners`; `user`: made in GitLab, then shared by all pods that know the token. */
  origin: 'user' | 'registration'
}

export interface RunnerDeskDeps {
  store: Store
  queue: RunnerQueue
  observation: Observation
  time: ServerTime
  timing: GitLabTiming
  random: Random
}

/** What happens to runner entities and their managers, and the rules of `app/models/ci/runner.rb` for it. */
export class RunnerDesk {
  readonly #deps: RunnerDeskDeps

  constructor(deps: RunnerDeskDeps) {
    this.#deps = deps
  }

  create(wanted: NewRunner, by: string): Runner {
    const { store, time, random } = this.#deps
    const prefix = `t${{ instance_type: 1, group_type: 2, project_type: 3 }[wanted.type]}_`
    const nowMs = time.nowMs()
    const id = store.nextId('runner', wanted.id)
    const runner: Runner = {
      id,
      token: wanted.token ?? `${wanted.origin === 'user' ? 'glrt-' : ''}${prefix}${uniqueHex(random, id, 20)}`,
      type: wanted.type,
      groupId: wanted.groupId ?? null,
      projectIds: wanted.projectIds ?? [],
      createdAtMs: nowMs,
      contact: newContact(wanted.origin === 'registration'),
      managers: new Map(),
      name: wanted.name ?? null,
      description: wanted.description ?? null,
      tags: normalTags(wanted.tags ?? []),
      paused: wanted.paused ?? false,
      runUntagged: wanted.runUntagged ?? true,
      locked: wanted.locked ?? false,
      accessLevel: wanted.accessLevel ?? 'not_protected',
      maximumTimeoutSeconds: wanted.maximumTimeoutSeconds ?? null,
      maintenanceNote: wanted.maintenanceNote ?? null,
      updatedAtMs: nowMs,
    }
    validate(runner)
    if (store.runners.has(runner.id) || store.runnerByToken(runner.token)) {
      throw new Error(`a runner with id ${runner.id} or its token exists already: choose others`)
    }
    store.addRunner(runner)
    this.#tell(runner, { tags: [], paused: runner.paused }, by)
    return runner
  }

  /** All or nothing. Every success wakes the runner's polls, also when nothing differs from before. */
  update(runner: Runner, changes: RunnerChanges, by: string): void {
    const { queue, time } = this.#deps
    const before = { tags: runner.tags, paused: runner.paused }
    const { tags, ...rest } = changes
    const changed = { ...rest, ...(tags && { tags: normalTags(tags) }) }
    validate({ ...runner, ...changed })
    Object.assign(runner, changed, { updatedAtMs: time.nowMs() })
    this.#tell(runner, before, by)
    queue.tick(runner.token)
  }

  remove(runner: Runner, by: string): void {
    const { store, queue, observation, time } = this.#deps
    store.removeRunner(runner)
    queue.forget(runner.token)
    observation.tagChange({
      atMs: time.nowMs(),
      runnerId: runner.id,
      before: runner.tags,
      after: [],
      pausedBefore: runner.paused,
      pausedAfter: runner.paused,
      by,
    })
  }

  removeManager(runner: Runner, systemId: string): boolean {
    return runner.managers.delete(systemId)
  }

  /** A request of this manager reached Rails. A manager that is not known yet comes into being by that. */
  heartbeat(
    runner: Runner,
    from: { systemId: string; ipAddress: string; info?: ManagerInfo; created?: boolean },
  ): Manager {
    const { store, time, timing, random } = this.#deps
    const nowMs = time.nowMs()
    const manager: Manager = runner.managers.get(from.systemId) ?? {
      id: store.nextId('manager'),
      runnerId: runner.id,
      systemId: from.systemId,
      createdAtMs: nowMs,
      contact: newContact(false),
      ipAddress: null,
      info: {},
    }
    runner.managers.set(from.systemId, manager)
    manager.ipAddress = from.ipAddress
    manager.info = { ...manager.info, ...from.info }
    for (const { contact } of [runner, manager]) {
      recordContact(contact, nowMs, timing, random)
      if (from.created) contact.created = true
    }
    return manager
  }

  /** What the clean-up of stale managers does: pods that are gone for a week lose their manager row. */
  removeStaleManagers(): void {
    const { store, time, timing } = this.#deps
    let removed = 0
    for (const runner of store.runners.values()) {
      for (const manager of runner.managers.values()) {
        if (removed >= MAX_STALE_PER_RUN) return
        if (!isStale(manager, time.nowMs(), timing)) continue
        runner.managers.delete(manager.systemId)
        removed++
      }
    }
  }

  #tell(runner: Runner, before: { tags: readonly string[]; paused: boolean }, by: string): void {
    const same = before.tags.length === runner.tags.length && before.tags.every((tag, at) => tag === runner.tags[at])
    if (same && before.paused === runner.paused) return
    this.#deps.observation.tagChange({
      atMs: this.#deps.time.nowMs(),
      runnerId: runner.id,
      before: before.tags,
      after: runner.tags,
      pausedBefore: before.paused,
      pausedAfter: runner.paused,
      by,
    })
  }
}

/** Tags are unique case-sensitively and carry no space at their ends. */
function normalTags(tags: readonly string[]): readonly string[] {
  return [...new Set(tags.map(tag => tag.trim()).filter(tag => tag !== ''))]
}

/** The error on a wrong tag list is on the key `tags_list`, although the parameter is `tag_list`. */
function validate(runner: Runner): void {
  const errors: Record<string, string[]> = {}
  if (runner.tags.length === 0 && !runner.runUntagged) {
    errors['tags_list'] = ['can not be empty when runner is not allowed to pick untagged jobs']
  } else if (runner.tags.length > MAX_TAGS) {
    errors['tags_list'] = [`Too many tags specified. Please limit the number of tags to ${MAX_TAGS}`]
  }
  if (runner.tags.some(tag => tag.length > MAX_TAG_LENGTH)) errors['tags'] = ['is invalid']
  if ((runner.description?.length ?? 0) > MAX_TEXT_LENGTH) {
    errors['description'] = [`is too long (maximum is ${MAX_TEXT_LENGTH} characters)`]
  }
  if ((runner.maintenanceNote?.length ?? 0) > MAX_TEXT_LENGTH) {
    errors['maintenance_note'] = [`is too long (maximum is ${MAX_TEXT_LENGTH} characters)`]
  }
  if (runner.maximumTimeoutSeconds !== null && runner.maximumTimeoutSeconds < MIN_TIMEOUT_SECONDS) {
    errors['maximum_timeout'] = ['needs to be at least 10 minutes']
  }
  if (Object.keys(errors).length > 0) throw refusals.message(400, errors)
}
