import type { Endpoint, GitLabUrl } from './endpoints.ts'
import { MAX_PAGES, PAGE_SIZE, readPage, totalOf, type Page } from './pages.ts'
import type { Sender } from './request.ts'
import { managerFromRest, runnerFromRest } from './runner-shape.ts'
import { GitLabError, type GitLabManager, type GitLabRunner, type RunnerOwner } from './types.ts'

/** Runners over REST. */
export interface Runners {
  total(group: number | string, signal: AbortSignal): Promise<number | undefined>
  one(id: number, signal: AbortSignal): Promise<GitLabRunner>
  managers(id: number, signal: AbortSignal): Promise<GitLabManager[]>
  /** One page of the group's and its ancestors' group runners; a tag narrows it to those that carry it. */
  page(
    group: number | string,
    asked: { page: number; perPage: number; tag?: string },
    signal: AbortSignal,
  ): Promise<Page>
  /** Every page of an owner's runners with a tag; rejects unless the whole list was read. */
  tagged(owner: RunnerOwner, tag: string, signal: AbortSignal): Promise<Page['items']>
  replaceTags(id: number, tags: readonly string[], signal: AbortSignal): Promise<GitLabRunner>
  wake(id: number, locked: boolean, signal: AbortSignal): Promise<GitLabRunner>
}

export function createRunners(sender: Sender, url: GitLabUrl): Runners {
  const put = (id: number, body: { tag_list: readonly string[] } | { locked: boolean }, signal: AbortSignal) =>
    sender.send(
      {
        endpoint: 'PUT /runners/:id',
        subject: `runner ${id}`,
        method: 'PUT',
        url: url.rest(['runners', id]),
        body,
        safe: false,
        read: ({ json }) => runnerFromRest(json),
      },
      signal,
    )

  const pageOf = (
    list: RunnerList,
    { page, perPage, tag }: { page: number; perPage: number; tag?: string },
    signal: AbortSignal,
  ) => {
    const filter = { type: list.type, per_page: perPage, page, ...(tag === undefined ? {} : { tag_list: tag }) }
    return sender.send(
      {
        endpoint: list.endpoint,
        subject: tag === undefined ? list.subject : `${list.subject}, tag ${tag}`,
        method: 'GET',
        url: url.rest(list.segments, filter),
        safe: true,
        read: answer => readPage(answer, page, perPage),
      },
      signal,
    )
  }

  return {
    page: (group, asked, signal) => pageOf(groupList(group), asked, signal),

    total: (group, signal) =>
      sender.send(
        {
          endpoint: 'GET /groups/:id/runners',
          subject: `group ${group}`,
          method: 'GET',
          url: url.rest(['groups', group, 'runners'], { per_page: 1 }),
          safe: true,
          read({ json, headers }) {
            json.items()
            return totalOf(headers)
          },
        },
        signal,
      ),

    one: (id, signal) =>
      sender.send(
        {
          endpoint: 'GET /runners/:id',
          subject: `runner ${id}`,
          method: 'GET',
          url: url.rest(['runners', id], { include_projects: false }),
          safe: true,
          read: ({ json }) => runnerFromRest(json),
        },
        signal,
      ),

    managers: (id, signal) =>
      sender.send(
        {
          endpoint: 'GET /runners/:id/managers',
          subject: `managers of runner ${id}`,
          method: 'GET',
          url: url.rest(['runners', id, 'managers']),
          safe: true,
          read: ({ json }) => json.items().map(managerFromRest),
        },
        signal,
      ),

    async tagged(owner, tag, signal) {
      const list = listOf(owner)
      const items: Page['items'] = []
      let total: number | undefined
      let next: number | undefined = 1
      for (let pages = 0; next !== undefined; pages++) {
        if (pages === MAX_PAGES) throw partial(list, `tag ${tag} is on more than ${MAX_PAGES * PAGE_SIZE} runners`)
        const part: Page = await pageOf(list, { page: next, perPage: PAGE_SIZE, tag }, signal)
        items.push(...part.items)
        next = part.nextPage
        total = part.total
      }
      // A runner that is deleted between two pages moves another one across their border, out of sight.
      const seen = new Set(items.map(item => item.get('id').integer())).size
      if (total !== undefined && seen < total) {
        throw partial(list, `GitLab counts ${total} runners with tag ${tag} and listed ${seen}: it changed meanwhile`)
      }
      return items
    },

    async replaceTags(id, tags, signal) {
      assertTags(id, tags)
      return await put(id, { tag_list: tags }, signal)
    },

    wake: (id, locked, signal) => put(id, { locked }, signal),
  }
}

/** GitLab splits the list at commas and drops blank tags, so a careless list could become another one, or an empty one. */
function assertTags(id: number, tags: readonly string[]): void {
  const refuse = (why: string) => new GitLabError('refused', 'PUT /runners/:id', `runner ${id}: not sent: ${why}`)
  if (tags.length === 0) throw refuse('a runner must keep at least one tag')
  const wrong = tags.find(tag => tag.trim() === '' || tag.includes(','))
  if (wrong !== undefined) throw refuse(`"${wrong}" is no tag: a tag is not blank and holds no comma`)
}

/** One of GitLab's three lists of runners. */
interface RunnerList {
  endpoint: Endpoint
  segments: readonly (string | number)[]
  type: 'group_type' | 'project_type' | 'instance_type'
  subject: string
}

function groupList(group: number | string): RunnerList {
  const segments = ['groups', group, 'runners']
  return { endpoint: 'GET /groups/:id/runners', segments, type: 'group_type', subject: `group ${group}` }
}

/** A project's list also shows the runners of groups and of the instance that serve it, so the type narrows it. */
function listOf(owner: RunnerOwner): RunnerList {
  if ('group' in owner) return groupList(owner.group)
  if ('runnersProject' in owner) {
    const { runnersProject: id } = owner
    const segments = ['projects', id, 'runners']
    return { endpoint: 'GET /projects/:id/runners', segments, type: 'project_type', subject: `project ${id}` }
  }
  return { endpoint: 'GET /runners/all', segments: ['runners', 'all'], type: 'instance_type', subject: 'the instance' }
}

function partial({ endpoint }: RunnerList, why: string): GitLabError {
  return new GitLabError('invalid_answer', endpoint, why)
}
