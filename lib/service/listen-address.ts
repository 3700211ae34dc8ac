/** Where a server listens. Without a host: every address, IPv6 and IPv4. Port 0: any free port. */
export interface ListenAddress {
  host?: string
  port: number
}

/** Reads `:8080`, `127.0.0.1:8080`, `[::1]:8080` or a bare port; undefined for anything else. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:(?:\[([0-9a-fA-F:.%]+)\]|([^\s:[\]]*)):)?(\d{1,5})$/.exec(text.trim())
  if (match === null) return undefined
  const port = Number(match[3])
  if (port > 65_535) return undefined
  const host = match[1] ?? match[2] ?? ''
  return host === '' ? { port } : { host, port }
}

export function formatListenAddress({ host, port }: ListenAddress): string {
  if (host === undefined) return `:${port}`
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
