import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts, type Program } from '../../../cli/demo/process.ts'
import type { SimulatedKubernetes } from '../../../simulator/kubernetes/server.ts'
import {
  asRecord,
  asString,
  metadataOf,
  nameOf,
  records,
  type KubeObject,
} from '../../../simulator/kubernetes/values.ts'
import { extraConfiguration, portsOf, startContainer, type Place } from './program.ts'
import { grantsOf } from './rights.ts'

export interface NodeOptions extends Pick<Place, 'programs' | 'runnerToken' | 'gitlabUrl' | 'timeScale' | 'clock'> {
  api: SimulatedKubernetes
  /** For what the pods mount, and for logs. */
  folder: string
  /** Addresses that only pods know, and where they lead. */
  names: ReadonlyMap<string, string>
}

const STOPS_WITHIN_MS = 10_000
const PROBE_WITHIN_MS = 2000

interface RunningPod {
  pod: KubeObject
  programs: readonly Program[]
  port: (containerPort: number) => number
  ready: boolean
}

/** Runs the pods of a simulated cluster as processes of this machine, as a kubelet would. */
export class Node {
  readonly #options: NodeOptions
  readonly #running = new Map<string, RunningPod>()
  readonly #leaving = new Set<Promise<unknown>>()

  constructor(options: NodeOptions) {
    this.#options = options
  }

  /** Starts what is new, ends what is gone, and asks who is ready. Resolves with why pods could not start yet. */
  async sync(): Promise<string[]> {
    const wanted = new Map(this.#options.api.state.list('pods').map(pod => [keyOf(pod), pod]))
    for (const [key, { programs }] of this.#running) if (!wanted.has(key)) this.#end(key, programs)
    const troubles: string[] = []
    for (const [key, pod] of wanted) {
      if (this.#running.has(key)) continue
      try {
        this.#running.set(key, await this.#start(pod))
      } catch (error) {
        troubles.push(String(error))
      }
    }
    await Promise.all(
      [...this.#running.values()].map(async running => {
        running.ready = await isReady(running)
      }),
    )
    return troubles
  }

  isReady(pod: KubeObject): boolean {
    return this.#running.get(keyOf(pod))?.ready ?? false
  }

  /** Where a pod's port is on loopback; undefined while the pod does not run. */
  portOf(pod: KubeObject, containerPort: number): number | undefined {
    return this.#running.get(keyOf(pod))?.port(containerPort)
  }

  /** Ends every process, as when the power goes. */
  async kill(): Promise<void> {
    const programs = [...this.#running.values()].flatMap(running => running.programs)
    this.#running.clear()
    await Promise.all([...programs.map(program => program.kill()), ...this.#leaving])
  }

  #end(key: string, programs: readonly Program[]): void {
    this.#running.delete(key)
    const left = Promise.all(programs.map(program => program.stop(STOPS_WITHIN_MS)))
    this.#leaving.add(left)
    void left.finally(() => this.#leaving.delete(left))
  }

  async #start(pod: KubeObject): Promise<RunningPod> {
    const { folder, names, api, ...rest } = this.#options
    const home = join(folder, nameOf(pod))
    await mkdir(home, { recursive: true })
    const numbers = portsOf(pod)
    const free = await freePorts(numbers.length)
    const port = (containerPort: number) => free[numbers.indexOf(containerPort)] ?? 0
    const containers = records(asRecord(pod['spec'])?.['containers'])
    const programs: Program[] = []
    for (const container of containers) {
      const mounts = records(container['volumeMounts']).map(
        mount => [String(mount['mountPath']), join(home, String(mount['name']))] as const,
      )
      const listens = numbers.map(number => [`:${number}`, `127.0.0.1:${port(number)}`] as const)
      const here = (text: string) => {
        const address = listens.find(([listen]) => listen === text)?.[1]
        return [...mounts, ...names].reduce((result, [there, at]) => result.replaceAll(there, at), address ?? text)
      }
      const place: Place = {
        ...rest,
        port,
        here,
        kubeconfig: join(home, 'kubeconfig'),
        logFile: join(home, `${ownName(container)}.log`),
      }
      await this.#mount(pod, home, place)
      programs.push(startContainer(pod, container, place))
    }
    api.state.put('pods', { ...pod, status: { phase: 'Running', podIP: '127.0.0.1' } })
    return { pod, programs, port, ready: false }
  }

  /** Writes a pod's volumes, and what says which service account it is. */
  async #mount(pod: KubeObject, home: string, place: Place): Promise<void> {
    const { api } = this.#options
    const { state } = api
    const namespace = asString(metadataOf(pod)['namespace']) ?? ''
    const spec = asRecord(pod['spec']) ?? {}
    for (const volume of records(spec['volumes'])) {
      const folder = join(home, ownName(volume))
      await mkdir(folder, { recursive: true })
      const configMap = asRecord(volume['configMap'])
      const secret = asRecord(volume['secret'])
      const object = configMap
        ? state.get('configMaps', namespace, ownName(configMap))
        : secret && state.get('secrets', namespace, asString(secret['secretName']) ?? '')
      const isRequired = configMap !== undefined || (secret !== undefined && secret['optional'] !== true)
      if (isRequired && !object) throw new Error(`${nameOf(pod)}: there is nothing to mount as ${ownName(volume)}`)
      for (const [file, content] of Object.entries(asRecord(object?.['data']) ?? {})) {
        const text = secret ? Buffer.from(String(content), 'base64').toString() : place.here(String(content))
        await writeFile(join(folder, file), text + extraConfiguration(file, place))
      }
    }
    const account = asString(spec['serviceAccountName']) ?? 'default'
    const token = `${namespace}.${account}`
    state.addToken(
      token,
      { username: `system:serviceaccount:${namespace}:${account}` },
      grantsOf(state, namespace, account),
    )
    await writeFile(place.kubeconfig, api.kubeconfig(token, namespace))
  }
}

/** By its readiness probe; without one it is as soon as it runs. */
async function isReady({ pod, port }: RunningPod): Promise<boolean> {
  const containers = records(asRecord(pod['spec'])?.['containers'])
  const answers = containers.map(async container => {
    const probe = asRecord(asRecord(container['readinessProbe'])?.['httpGet'])
    if (!probe) return true
    const declared = records(container['ports']).find(({ name }) => name === probe['port'])
    const url = `http://127.0.0.1:${port(Number(declared?.['containerPort']))}${String(probe['path'])}`
    return fetch(url, { signal: AbortSignal.timeout(PROBE_WITHIN_MS) }).then(
      ({ ok }) => ok,
      () => false,
    )
  })
  return (await Promise.all(answers)).every(Boolean)
}

/** Of what has no metadata: containers, volumes, references. */
function ownName(part: KubeObject): string {
  return asString(part['name']) ?? ''
}

/** Names of pods are made up, so that none is used twice. */
function keyOf(pod: KubeObject): string {
  const { namespace, name } = metadataOf(pod)
  return `${String(namespace)}/${String(name)}`
}
