import type { AccessToken, Group, Job, PackageFile, Project, Runner } from './model.ts'

/** The records and how they hang together. Rules are elsewhere. */
export class Store {
  readonly groups = new Map<number, Group>()
  readonly projects = new Map<number, Project>()
  /** By secret. */
  readonly tokens = new Map<string, AccessToken>()
  readonly runners = new Map<number, Runner>()
  readonly jobs = new Map<number, Job>()
  /** Oldest first. */
  readonly packageFiles: PackageFile[] = []
  readonly #ids = new Map<string, number>()
  readonly #runnersByToken = new Map<string, Runner>()

  /** Ids of a kind grow, also past those that a test chose itself. */
  nextId(kind: 'group' | 'project' | 'token' | 'runner' | 'manager' | 'job', chosen?: number): number {
    const id = chosen ?? (this.#ids.get(kind) ?? 0) + 1
    this.#ids.set(kind, Math.max(id, this.#ids.get(kind) ?? 0))
    return id
  }

  /** By id, or by full path as the API allows in every `:id` of a group. */
  group(reference: string | number): Group | undefined {
    return find(this.groups, reference)
  }

  project(reference: string | number): Project | undefined {
    return find(this.projects, reference)
  }

  /** The group itself first, then its ancestors up to the root. */
  lineage(groupId: number | null): Group[] {
    const lineage: Group[] = []
    for (let id = groupId; id !== null;) {
      const group = this.groups.get(id)
      if (!group) break
      lineage.push(group)
      id = group.parentId
    }
    return lineage
  }

  isWithin(groupId: number | null, ancestorId: number): boolean {
    return this.lineage(groupId).some(({ id }) => id === ancestorId)
  }

  addRunner(runner: Runner): void {
    this.runners.set(runner.id, runner)
    this.#runnersByToken.set(runner.token, runner)
  }

  removeRunner(runner: Runner): void {
    this.runners.delete(runner.id)
    this.#runnersByToken.delete(runner.token)
  }

  runnerByToken(token: string): Runner | undefined {
    return this.#runnersByToken.get(token)
  }

  /** In the order of their ids, which is the order of every REST list. */
  runnersWhere(matches: (runner: Runner) => boolean): Runner[] {
    return [...this.runners.values()].filter(matches).sort((a, b) => a.id - b.id)
  }

  /** Whether jobs of the project may run there at all: instance runners, those of its groups, its own. */
  serves(runner: Runner, project: Project): boolean {
    switch (runner.type) {
      case 'instance_type':
        return true
      case 'group_type':
        return runner.groupId !== null && this.isWithin(project.groupId, runner.groupId)
      case 'project_type':
        return runner.projectIds.includes(project.id)
    }
  }
}

function find<T extends { id: number; fullPath: string }>(
  records: ReadonlyMap<number, T>,
  reference: string | number,
): T | undefined {
  if (typeof reference === 'number' || /^\d+$/.test(reference)) return records.get(Number(reference))
  const wanted = reference.toLowerCase()
  return [...records.values()].find(({ fullPath }) => fullPath.toLowerCase() === wanted)
}
