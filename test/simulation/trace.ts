import type { Observation, Plan } from '../../decider/model.ts'
import type { HttpRequest } from '../../lib/http/transport.ts'
import type { TagChange } from '../../simulator/gitlab/observation.ts'
import type { Site } from './site.ts'
import { type PublishedFile, type World, type WorldWatch, MAIN_TAG } from './world.ts'

/** The story of a run for people: one line per thing that happened, none for cycles in which nothing changed. */
export class Trace implements WorldWatch {
  readonly lines: string[] = []
  readonly #said = new Map<string, string>()
  #world: World | undefined

  watch(world: World): void {
    this.#world = world
  }

  line(who: string, what: string): void {
    this.lines.push(`${clockTime(this.#world?.time.monotonicMs() ?? 0)}  ${who.padEnd(7)} ${what}`)
  }

  onLife({ name }: Site, what: string): void {
    this.#said.delete(name)
    this.line(name, what)
  }

  onPlan({ name }: Site, _seen: Observation, { state, step, explain, alerts }: Plan): void {
    const alarm = alerts.map(({ kind }) => kind).join(' ')
    const saying = `${state} ${step.kind} ${alarm}`
    if (this.#said.get(name) === saying) return
    this.#said.set(name, saying)
    const doing = step.kind === 'none' ? '' : step.kind === 'promote' ? ` promote(${step.cause})` : ` ${step.kind}`
    this.line(name, `${state}${doing}${alarm === '' ? '' : ` [${alarm}]`}: ${explain}`)
  }

  onRequest({ name }: Site, { method, url, body = '{}' }: HttpRequest): void {
    const runnerId = /\/runners\/(\d+)$/.exec(url)?.[1]
    if (method !== 'PUT' || runnerId === undefined) return
    const { tag_list: tags } = JSON.parse(body) as { tag_list?: string[] }
    const what =
      tags === undefined ? 'wakes' : tags.includes(MAIN_TAG) ? 'sends the main tag to' : 'sends no main tag to'
    this.line(name, `${what} runner ${runnerId}`)
  }

  onAnswer(): void {
    // What came of it shows in tags and files.
  }

  onTagChange({ runnerId, before, after, by, pausedBefore, pausedAfter }: TagChange): void {
    const gained = after.filter(tag => !before.includes(tag)).map(tag => `+${tag}`)
    const lost = before.filter(tag => !after.includes(tag)).map(tag => `-${tag}`)
    const paused = pausedBefore === pausedAfter ? [] : [pausedAfter ? 'paused' : 'resumed']
    const owner = this.#world?.clusterOf({ tags: after }) ?? 'nobody'
    const holders = [...(this.#world?.holders() ?? [])].join(' ') || 'nobody'
    this.line(
      'gitlab',
      `runner ${runnerId} of ${owner}: ${[...gained, ...lost, ...paused].join(' ')} by ${by}; holders: ${holders}`,
    )
  }

  onFile(file: PublishedFile, before: PublishedFile | undefined): void {
    if (file.active === before?.active && file.epoch === before.epoch && file.seq > before.seq) return
    const { cluster, seq, epoch, active } = file
    const late = before && seq < before.seq ? ' (late)' : ''
    this.line('gitlab', `file of ${cluster}: ${active ? 'active' : 'inactive'}, epoch ${epoch}, seq ${seq}${late}`)
  }
}

function clockTime(ms: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  const seconds = (ms / 1000) % 60
  return `${two(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${seconds.toFixed(2).padStart(5, '0')}`
}
