import { json, refusals, text } from '../answers.ts'
import type { Context } from '../context.ts'
import { pathText, signedIn, type Call, type Route } from './route.ts'

const FILE = '/projects/:id/packages/generic/:package_name/:package_version/:file_name'
const RULES: Readonly<Record<string, RegExp>> = {
  package_name: /^[A-Za-z0-9._-]+$/,
  package_version: /^(\.?[\w+-]+\.?)+$/,
  file_name: /^(?!.*\.\.)[A-Za-z0-9._~@+-]+$/,
}

/** The generic package registry: one upload per request, the newest of a name is what is downloaded. */
export const packageRoutes: readonly Route[] = [
  { method: 'PUT', pattern: FILE, auth: 'public', run: upload },
  {
    method: 'GET',
    pattern: FILE,
    auth: 'public',
    run: (context, call) => {
      const project = call.access.project(pathText(call, 'id'))
      if (!call.access.hasProjectRole(project, 'reporter')) throw refusals.forbidden()
      const found = context.store.packageFiles.filter(isAt(call, project.id)).at(-1)
      if (!found) throw refusals.notFound()
      return text(200, found.content, { 'content-type': 'application/octet-stream' })
    },
  },
]

function upload(context: Context, call: Call) {
  const project = call.access.project(pathText(call, 'id'))
  signedIn(call)
  if (!call.access.hasProjectRole(project, 'developer')) throw refusals.forbidden()
  for (const [name, rule] of Object.entries(RULES)) {
    if (!rule.test(pathText(call, name))) throw refusals.parameter(`${name} is invalid`)
  }
  const { packageFiles } = context.store
  if (!context.settings.duplicatePackages && packageFiles.some(isAt(call, project.id))) {
    throw refusals.message(400, '400 Bad request - Duplicate package is not allowed')
  }
  packageFiles.push({
    projectId: project.id,
    name: pathText(call, 'package_name'),
    version: pathText(call, 'package_version'),
    file: pathText(call, 'file_name'),
    content: call.body,
  })
  return json(201, { message: '201 Created' })
}

function isAt(call: Call, project: number) {
  return ({ projectId, name, version, file }: Context['store']['packageFiles'][number]) =>
    projectId === project &&
    name === pathText(call, 'package_name') &&
    version === pathText(call, 'package_version') &&
    file === pathText(call, 'file_name')
}
