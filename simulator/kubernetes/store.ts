import type { ResourceType } from './resources.ts'
import { clone, metadataOf, versionOf, type KubeObject } from './values.ts'

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED'

/** One write, as watches replay it. */
export interface Change {
  version: number
  type: ChangeType
  storage: string
  key: string
  /** After the write; for a deletion the last state with the version of the deletion. */
  object: KubeObject
  /** Before the write. */
  previous: KubeObject | undefined
}

/** Objects with one version counter over all of them, as etcd has it, and the history that watches need. */
export class Store {
  #version: number
  #floor: number
  readonly #objects = new Map<string, Map<string, KubeObject>>()
  #history: Change[] = []
  readonly #listeners = new Set<(change: Change) => void>()

  constructor(firstVersion = 1000) {
    this.#version = firstVersion
    this.#floor = firstVersion
  }

  get version(): number {
    return this.#version
  }

  /** The oldest version from which a watch can still start. */
  get floor(): number {
    return this.#floor
  }

  get(type: ResourceType, namespace: string, name: string): KubeObject | undefined {
    const present = this.#of(type.storage).get(keyOf(namespace, name))
    return present && clone(present)
  }

  has(type: ResourceType, namespace: string, name: string): boolean {
    return this.#of(type.storage).has(keyOf(namespace, name))
  }

  /** Writes a whole object and stamps its resourceVersion; returns what is stored. */
  put(type: ResourceType, namespace: string, name: string, object: KubeObject): KubeObject {
    const key = keyOf(namespace, name)
    const previous = this.#of(type.storage).get(key)
    const stored = this.#stamp(object)
    this.#of(type.storage).set(key, stored)
    this.#record(previous ? 'MODIFIED' : 'ADDED', type.storage, key, stored, previous)
    return clone(stored)
  }

  remove(type: ResourceType, namespace: string, name: string): void {
    const key = keyOf(namespace, name)
    const previous = this.#of(type.storage).get(key)
    if (!previous) return
    this.#of(type.storage).delete(key)
    this.#record('DELETED', type.storage, key, this.#stamp(previous), previous)
  }

  /** Objects of a namespace, or of all when it is empty, in key order; `atVersion` looks back. */
  list(type: ResourceType, namespace: string, atVersion = this.#version): [key: string, object: KubeObject][] {
    const objects = new Map(this.#of(type.storage))
    for (const change of [...this.#history].reverse()) {
      if (change.version <= atVersion) break
      if (change.storage !== type.storage) continue
      if (change.previous) objects.set(change.key, change.previous)
      else objects.delete(change.key)
    }
    return [...objects]
      .filter(([key]) => namespace === '' || key.startsWith(`${namespace}/`))
      .sort(([a], [b]) => (a < b ? -1 : 1))
  }

  since(type: ResourceType, version: number): readonly Change[] {
    return this.#history.filter(change => change.storage === type.storage && change.version > version)
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Everything before now can no longer be watched or listed: what a restart with a fresh cache looks like. */
  forgetHistory(): void {
    this.#version++
    this.#floor = this.#version
    this.#history = []
  }

  /** A write that concerns nobody: the version moves on. */
  bump(): void {
    this.#version++
  }

  #of(storage: string): Map<string, KubeObject> {
    const present = this.#objects.get(storage)
    if (present) return present
    const made = new Map<string, KubeObject>()
    this.#objects.set(storage, made)
    return made
  }

  #stamp(object: KubeObject): KubeObject {
    const stored = clone(object)
    this.#version++
    metadataOf(stored)['resourceVersion'] = String(this.#version)
    return stored
  }

  #record(type: ChangeType, storage: string, key: string, object: KubeObject, previous: KubeObject | undefined): void {
    const change = { version: Number(versionOf(object)), type, storage, key, object, previous }
    this.#history.push(change)
    if (this.#history.length > MAX_HISTORY) {
      this.#history = this.#history.slice(-MAX_HISTORY / 2)
      this.#floor = this.#history[0]?.version ?? this.#version
    }
    for (const listener of this.#listeners) listener(change)
  }
}

/** A long test must not fill the memory; a real server keeps about five minutes. */
const MAX_HISTORY = 20_000

/** Cluster-scoped objects have the empty namespace. */
export function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`
}
