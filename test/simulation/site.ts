import { Registry } from 'prom-client'
import { type Decider, type DeciderDeps, createDecider } from '../../decider/app.ts'
import { decide } from '../../decider/decide.ts'
import type { Observation, Plan, PoolConfig } from '../../decider/model.ts'
import { readDeciderConfig } from '../../decider/config.ts'
import { createGitLabClient } from '../../lib/gitlab/client.ts'
import { type HttpRequest, type HttpTransport, TransportError } from '../../lib/http/transport.ts'
import type { Clock, Random } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import type { Fleet } from './fleet.ts'
import { type Machine, type Suspension, createMachine } from './machine.ts'
import type { SimulatedPrometheus } from './prometheus.ts'
import type { VirtualTime } from './time.ts'

export type Decide = typeof decide
export type CutOff = 'reset' | 'hang'
/** Which of a decider's tokens no longer works. */
export type TokenFault = 'runners' | 'project'

export interface SiteWatch {
  onPlan(site: Site, seen: Observation, plan: Plan, config: PoolConfig): void
  /** About to be sent; a decider that is killed here has not sent it. */
  onRequest(site: Site, request: HttpRequest): void
  /** GitLab has dealt with it; a decider that is killed here never learns that. */
  onAnswer(site: Site, request: HttpRequest): void
  onLife(site: Site, what: string): void
}

export interface SiteOptions {
  name: string
  fleet: Fleet
  prometheus: SimulatedPrometheus
  time: VirtualTime
  random: Random
  /** Carries to GitLab and back what a living process sends. */
  transport: HttpTransport
  tokens: Record<TokenFault, string>
  /** The configuration file, as JSON. */
  configuration: Record<string, unknown>
  groupAndProject: { group: number; project: number }
  watch: SiteWatch
  decide: Decide
}

/** One cluster with everything in it: its machine, its Prometheus, its runners, and the real decider. */
export class Site {
  readonly machine: Machine
  decider: Decider | undefined
  #kill: (() => void) | undefined
  #inhibitions = 0
  #deaths = 0
  #starts = 0
  readonly #cutOffs: CutOff[] = []
  readonly #tokenFaults: TokenFault[] = []
  #configuration: Record<string, unknown>
  /** True time of the last death; undefined while the cluster lives. */
  deadSinceMs: number | undefined

  constructor(readonly options: SiteOptions) {
    this.machine = createMachine(options.time)
    this.#configuration = options.configuration
  }

  get name(): string {
    return this.options.name
  }

  /** What its decider takes for its own name. */
  get configuredName(): string {
    return String(this.#configuration['cluster'])
  }

  get fleet(): Fleet {
    return this.options.fleet
  }

  get prometheus(): SimulatedPrometheus {
    return this.options.prometheus
  }

  start(): void {
    if (this.#inhibitions === 0 && !this.decider) this.#boot()
  }

  /** The decider is gone; nothing it had under way comes back to it, though it may still arrive at GitLab. */
  killDecider(): () => void {
    this.#inhibitions++
    this.#halt('its process is killed')
    return () => {
      this.#inhibitions--
      this.start()
    }
  }

  /** The decider and all runners are gone. */
  die(): () => void {
    if (this.#deaths++ === 0) this.deadSinceMs = this.options.time.monotonicMs()
    const restart = this.killDecider()
    const revive = this.fleet.inhibit()
    return () => {
      if (--this.#deaths === 0) this.deadSinceMs = undefined
      revive()
      restart()
    }
  }

  /** Told to stop, it ends what it does and says `leaving`; a new one starts `pauseMs` later. */
  async restart(pauseMs: number): Promise<void> {
    const { decider } = this
    if (!decider) return
    this.options.watch.onLife(this, 'its decider is told to stop')
    this.#inhibitions++
    const { time } = this.options
    await Promise.race([decider.stop(), time.sleep(30_000)])
    if (this.decider === decider) this.#halt('its process ends')
    await time.sleep(pauseMs)
    this.#inhibitions--
    this.start()
  }

  /** The decider restarts with other lines in its configuration, and at the end with its own again. */
  reconfigure(change: (configuration: Record<string, unknown>) => Record<string, unknown>): () => void {
    const own = this.options.configuration
    this.#configuration = change(own)
    this.#reboot()
    return () => {
      this.#configuration = own
      this.#reboot()
    }
  }

  cutOff(kind: CutOff): () => void {
    return put(this.#cutOffs, kind)
  }

  expireToken(which: TokenFault): () => void {
    return put(this.#tokenFaults, which)
  }

  suspend(kind: Suspension): () => void {
    this.machine.suspend(kind)
    return () => this.machine.resume()
  }

  #reboot(): void {
    if (!this.decider) return
    this.#halt('its process ends')
    this.start()
  }

  #halt(why: string): void {
    if (!this.decider) return
    this.decider = undefined
    this.#kill?.()
    this.#kill = undefined
    this.options.watch.onLife(this, why)
  }

  #boot(): void {
    const { name, options } = this
    const { random, groupAndProject } = options
    const { clock, kill } = this.machine.boot()
    let over = false
    const isOver = () => over
    this.#kill = () => {
      over = true
      kill()
    }
    const config = readDeciderConfig(JSON.stringify(this.#configuration))
    if (!config.ok) throw new Error(JSON.stringify(config.mistakes))
    const client = (which: TokenFault) =>
      createGitLabClient({
        url: 'http://gitlab.test',
        transport: request => this.#send(request, isOver, clock),
        token: () => Promise.resolve(this.#tokenFaults.includes(which) ? 'glpat-expired' : options.tokens[which]),
        clock,
        random,
      })
    const runners = client('runners')
    const deps: DeciderDeps = {
      config: { ...config.config, gitlab: { ...config.config.gitlab, ...groupAndProject } },
      runners,
      project: options.tokens.project === options.tokens.runners ? runners : client('project'),
      prometheus: options.prometheus.client(clock),
      identity: { id: `${name}-${++this.#starts}`, version: 'test' },
      dryRun: false,
      registry: new Registry(),
      clock,
      random,
      log: silentLog,
      decide: (seen, previous, pool) => {
        const plan = options.decide(seen, previous, pool)
        options.watch.onPlan(this, seen, plan, pool)
        return plan
      },
    }
    this.decider = createDecider(deps)
    options.watch.onLife(this, 'its decider starts')
    this.decider.start()
  }

  /** A dead process sends nothing and hears nothing; a suspended one hears later. */
  async #send(request: HttpRequest, isOver: () => boolean, clock: Clock) {
    const { watch, transport } = this.options
    const { signal } = request
    if (isOver()) return await new Promise<never>(() => undefined)
    const cut = this.#cutOffs.at(-1)
    if (cut === 'hang') await clock.sleep(24 * 3_600_000, signal)
    if (cut === 'reset') throw new TransportError('network', 'no route to host')
    watch.onRequest(this, request)
    if (isOver()) return await new Promise<never>(() => undefined)
    try {
      const response = await transport(request)
      watch.onAnswer(this, request)
      if (this.#cutOffs.length > 0) throw new TransportError('network', 'connection reset')
      return response
    } finally {
      await this.machine.awake()
      if (isOver()) await new Promise<never>(() => undefined)
    }
  }
}

/** Adds an item; the returned function takes it away again. */
function put<T>(list: T[], item: T): () => void {
  list.push(item)
  return () => {
    const index = list.indexOf(item)
    if (index !== -1) list.splice(index, 1)
  }
}
