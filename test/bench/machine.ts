import { cpus, totalmem } from 'node:os'

/** What a figure depends on besides the code. */
export interface Machine {
  processor: string
  cores: number
  memoryGiB: number
  node: string
}

export function thisMachine(): Machine {
  const all = cpus()
  return {
    processor: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  }
}

export function describeMachine({ processor, cores, memoryGiB, node }: Machine): string {
  return `${processor}, ${cores} cores, ${memoryGiB} GiB, Node ${node}`
}
