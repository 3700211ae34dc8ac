import type { GitLabUrl } from './endpoints.ts'
import { MAX_PAGES, PAGE_SIZE, readPage, totalOf, type Page } from './pages.ts'
import type { Sender } from './request.ts'
import { managerFromRest, runnerFromRest } from './runner-shape.ts'
import { GitLabError, type GitLabManager, type GitLabRunner } from './types.ts'

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
  /** Every page of it; rejects unless the whole list was read. */
  tagged(group: number, tag: string, signal: AbortSignal): Promise<Page['items']>
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

  const page: Runners['page'] = (group, { page, perPage, tag }, signal) => {
    const filter = { type: 'group_type', per_page: perPage, page, ...(tag === undefined ? {} : { tag_list: tag }) }
    return sender.send(
      {
        endpoint: 'GET /groups/:id/runners',
        subject: tag === undefined ? `group ${group}` : `group ${group}, tag ${tag}`,
        method: 'GET',
        url: url.rest(['groups', group, 'runners'], filter),
        safe: true,
        read: answer => readPage(answer, page, perPage),
      },
      signal,
    )
  }

  return {
    page,

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

    async tagged(group, tag, signal) {
      const items: Page['items'] = []
      let total: number | undefined
      let next: number | undefined = 1
      for (let pages = 0; next !== undefined; pages++) {
        if (pages === MAX_PAGES) throw partial(`tag ${tag} is on more than ${MAX_PAGES * PAGE_SIZE} runners`)
        const part: Page = await page(group, { page: next, perPage: PAGE_SIZE, tag }, signal)
        items.push(...part.items)
        next = part.nextPage
        total = part.total
      }
      // A runner that is deleted between two pages moves another one across their border, out of sight.
      const seen = new Set(items.map(item => item.get('id').integer())).size
      if (total !== undefined && seen < total) {
        throw partial(`GitLab counts ${total} runners with tag ${tag} and listed ${seen}: the list changed meanwhile`)
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

function partial(why: string): GitLabError {
  return new GitLabError('invalid_answer', 'GET /groups/:id/runners', why)
}
