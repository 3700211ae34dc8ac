import type { Access, Caller } from '../access.ts'
import { refusals, type Answer } from '../answers.ts'
import type { Context } from '../context.ts'
import type { Input } from '../input.ts'
import type { Scope } from '../model.ts'

/** One request on its way through a route. */
export interface Call {
  readonly method: string
  /** Below `/api/v4`, as it was sent. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  readonly params: Readonly<Record<string, string>>
  readonly input: Input
  readonly body: string
  readonly ipAddress: string
  readonly caller: Caller | undefined
  readonly access: Access
  readonly signal?: AbortSignal
}

export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `/runners/:id`; a parameter is one segment of the path, decoded after the split. */
  pattern: string
  /** Scopes that open this route besides `api`, and `read_api` for reading. */
  scopes?: readonly Scope[]
  /** Default: refused with 401 without a token. `public`: the route decides; `own`: it checks tokens of its own kind. */
  auth?: 'public' | 'own'
  run(context: Context, call: Call): Answer | Promise<Answer>
}

/** The id of a runner or a job in the path, which must be a number. */
export function pathId(call: Call, name: string): number {
  const value = Number(call.params[name])
  if (!Number.isInteger(value)) throw refusals.parameter(`${name} is invalid`)
  return value
}

export function pathText(call: Call, name: string): string {
  return call.params[name] ?? ''
}

/** The caller of a route that refuses strangers. */
export function signedIn(call: Call): Caller {
  if (!call.caller) throw refusals.unauthorized()
  return call.caller
}

export function callerName(call: Call): string {
  return call.caller ? `token:${call.caller.token.name}` : 'anonymous'
}
