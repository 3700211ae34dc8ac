import type { GitLabUrl } from './endpoints.ts'
import type { Sender } from './request.ts'

export interface PackageFile {
  project: number
  name: string
  version: string
  file: string
  content: string
}

/** GitLab's generic package registry: files by name and version, for a token with `api` and role Developer. */
export function createPackages(sender: Sender, url: GitLabUrl) {
  return {
    async putFile({ project, name, version, file, content }: PackageFile, signal: AbortSignal): Promise<void> {
      await sender.send(
        {
          endpoint: 'PUT /projects/:id/packages/generic/:name/:version/:file',
          subject: `package ${name}/${version} of project ${project}`,
          method: 'PUT',
          url: url.rest(['projects', project, 'packages', 'generic', name, version, file]),
          file: content,
          safe: false,
          read: () => undefined,
        },
        signal,
      )
    },
  }
}
