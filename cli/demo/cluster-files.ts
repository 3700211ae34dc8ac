import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SimulatedGitLab } from '../../simulator/gitlab/server.ts'
import { type DeciderServers, type StageOptions, GROUP_ID, HADR_PROJECT_ID, MAIN_TAG } from './stage-options.ts'

/** Least rights, as documented: the sidecar reads; of the decider's two tokens neither can do everything. */
export async function createTokens(name: string, { state }: SimulatedGitLab, home: string) {
  const owner = { groups: { [GROUP_ID]: 'owner' as const } }
  const tokens = {
    sidecar: { scopes: ['read_api'], groups: { [GROUP_ID]: 'maintainer' } },
    runners: { scopes: ['read_api', 'manage_runner'], ...owner },
    project: { scopes: ['api'], projects: { [HADR_PROJECT_ID]: 'developer' } },
  } as const
  const files = { sidecar: '', runners: '', project: '' }
  for (const [use, rights] of Object.entries(tokens)) {
    const token = `glpat-${use}-${name}`
    state.addToken({ token, name: `${use}-${name}`, ...rights })
    const file = join(home, `${use}.token`)
    files[use as keyof typeof tokens] = file
    await writeFile(file, token, { mode: 0o600 })
  }
  const pushTokens = [`glpat-project-${name}`]
  state.protect({ project: HADR_PROJECT_ID, branch: `hadr/${name}`, pushTokens, allowForce: true })
  return files
}

/** JSON is YAML. */
export function deciderConfig(
  cluster: string,
  servers: DeciderServers,
  tokens: { runners: string; project: string },
  options: StageOptions,
) {
  const { clusters, timeScale, profile } = options
  return JSON.stringify(
    {
      cluster,
      gitlab: {
        url: servers.gitlab,
        group: GROUP_ID,
        project: HADR_PROJECT_ID,
        tokenFile: tokens.runners,
        projectTokenFile: tokens.project,
      },
      prometheus: { url: servers.prometheus },
      timeScale,
      ...(profile && { profile }),
      pools: [
        {
          mainTag: MAIN_TAG,
          clusters: clusters.map((name, index) => ({ name, tag: `runner-${name}`, priority: clusters.length - index })),
        },
      ],
    },
    null,
    2,
  )
}
