import { readFile } from 'node:fs/promises'
import type { DeciderConfig } from '../../decider/config.ts'
import type { GitLabClientOptions } from '../../lib/gitlab/access.ts'
import { createAxiosTransport } from '../../lib/http/axios-transport.ts'
import type { HttpTransport } from '../../lib/http/transport.ts'
import type { Clock, Random } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import { createTokenSource } from '../../lib/service/token-source.ts'

/** More than the writes and reads that some hanging pools may have under way, so that they keep no other from GitLab. */
const GITLAB_SOCKETS = 64

export interface ClientSetting {
  config: DeciderConfig
  env: NodeJS.ProcessEnv
  userAgent: string
  onRequest: (endpoint: string, outcome: string) => void
  onRateLimit: (remaining: number) => void
  clock: Clock
  random: Random
  log: Log
}

/** What clients of GitLab are made of: with the right to the runners, and with that to the HADR project. */
export interface GitLabRights {
  runners: GitLabClientOptions
  /** The same object where one token has both rights. */
  project: GitLabClientOptions
}

/** Reads certificates and opens the token files. Rejects when a certificate file cannot be read. */
export async function gitlabAccess({ config, env, ...parts }: ClientSetting): Promise<GitLabRights> {
  const { url, caFile, tokenFile, projectTokenFile } = config.gitlab
  const envToken = env['HADR_GITLAB_TOKEN']
  const optionsFor = async (token: { file?: string; value?: string }): Promise<GitLabClientOptions> => {
    const source = createTokenSource({ ...token, log: parts.log })
    return {
      ...parts,
      url,
      transport: createAxiosTransport({ ...(await readCa(caFile)), maxSockets: GITLAB_SOCKETS }),
      token: () => source.token(),
    }
  }
  const runners = await optionsFor({
    ...(tokenFile === undefined ? {} : { file: tokenFile }),
    ...(envToken === undefined ? {} : { value: envToken }),
  })
  return { runners, project: projectTokenFile === undefined ? runners : await optionsFor({ file: projectTokenFile }) }
}

/** Adds the bearer token to each request, read anew, so that a rotated one is used without a restart. */
export async function prometheusTransport(
  { tokenFile, caFile }: DeciderConfig['prometheus'],
  log: Log,
): Promise<HttpTransport> {
  const transport = createAxiosTransport(await readCa(caFile))
  if (tokenFile === undefined) return transport
  const source = createTokenSource({ file: tokenFile, log })
  return async request => {
    const token = await source.token()
    const headers = token === undefined ? request.headers : { ...request.headers, authorization: `Bearer ${token}` }
    return transport({ ...request, headers })
  }
}

export async function readCa(file: string | undefined): Promise<{ ca?: string }> {
  return file === undefined ? {} : { ca: await readFile(file, 'utf8') }
}
