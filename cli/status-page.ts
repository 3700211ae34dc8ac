import { readFile } from 'node:fs/promises'

/** The status page's HTML, put in by the build; run from the sources, the file itself. */
export async function readStatusPage(): Promise<string> {
  return process.env['HADR_STATUS_PAGE'] ?? readFile('decider/status/page.html', 'utf8')
}
