import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Local TCP ports of the pod's network namespace, which all containers of a pod share. */
export interface PortUsage {
  /** Distinct local ports with a socket in any state: a port in TIME_WAIT is not free either. */
  used: number
  /** How many ports the kernel may hand out to outgoing connections (`ip_local_port_range`). */
  total: number
}

/** Bounds the memory however many connections there are: tables of many megabytes are read through this window. */
const WINDOW_BYTES = 64 * 1024

/** Reads the tables below `procRoot` (`/proc`). Rejects when they cannot be read or are not what they should be. */
export async function readPorts(procRoot: string): Promise<PortUsage> {
  const ports = new Set<number>()
  await collectPorts(join(procRoot, 'net/tcp'), ports)
  try {
    await collectPorts(join(procRoot, 'net/tcp6'), ports)
  } catch (error) {
    // A kernel without IPv6 has no such file.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  const rangePath = join(procRoot, 'sys/net/ipv4/ip_local_port_range')
  return { used: ports.size, total: rangeSize(await readFile(rangePath, 'utf8'), rangePath) }
}

function rangeSize(text: string, path: string): number {
  const match = /^\s*(\d+)\s+(\d+)\s*$/.exec(text)
  const size = match === null ? NaN : Number(match[2]) - Number(match[1]) + 1
  if (!(size > 0)) throw new Error(`${path} holds no port range`)
  return size
}

/** `  0: 0100007F:1F90 00000000:0000 0A …`: the second field is the local address and port, in hexadecimal. */
const ROW = /^\s*\d+:\s+[0-9A-F]+:([0-9A-F]{4})\s/

async function collectPorts(path: string, into: Set<number>): Promise<void> {
  const file = await open(path, 'r')
  try {
    const window = Buffer.alloc(WINDOW_BYTES)
    let rest = ''
    for (let first = true; ;) {
      const { bytesRead } = await file.read(window, 0, WINDOW_BYTES, null)
      if (bytesRead === 0) break
      const lines = (rest + window.toString('latin1', 0, bytesRead)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const port = ROW.exec(line)?.[1]
        if (port !== undefined) into.add(parseInt(port, 16))
        else if (!first) throw new Error(`${path} has a row that is none: ${JSON.stringify(line.slice(0, 80))}`)
        first = false
      }
    }
  } finally {
    await file.close()
  }
}
