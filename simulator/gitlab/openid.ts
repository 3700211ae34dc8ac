import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { json, type Answer } from './answers.ts'
import type { Context } from './context.ts'
import type { Job } from './model.ts'

/** GitLab's key for CI tokens: made when first used, because an RSA key takes a while. */
export class SigningKey {
  #pair: { privateKey: KeyObject; publicKey: KeyObject } | undefined

  rotate(): void {
    this.#pair = undefined
  }

  get privateKey(): KeyObject {
    return this.#keys().privateKey
  }

  /** As a JSON Web Key; its id is its thumbprint (RFC 7638). */
  publicJwk(): Record<string, string> {
    const { n = '', e = '' } = this.#keys().publicKey.export({ format: 'jwk' })
    const kid = createHash('sha256')
      .update(JSON.stringify({ e, kty: 'RSA', n }))
      .digest('base64url')
    return { kty: 'RSA', kid, e, n, use: 'sig', alg: 'RS256' }
  }

  #keys() {
    return (this.#pair ??= generateKeyPairSync('rsa', { modulusLength: 2048 }))
  }
}

/** What makes a token a false one. */
export interface IdTokenChanges {
  claims?: Readonly<Record<string, unknown>>
  header?: Readonly<Record<string, unknown>>
  /** Instead of GitLab's own. */
  signWith?: KeyObject
}

/** Without a timeout of its own a job's tokens live so long. */
const LIFE_SECONDS = 3600

/** Claims as GitLab's documentation of ID tokens lists them; all ids are text. */
export function idTokenOf(context: Context, job: Job, audience: string, changes: IdTokenChanges = {}): string {
  const { store, signingKey, externalUrl, time } = context
  const project = store.projects.get(job.projectId)
  const path = project?.fullPath ?? ''
  const group = project?.groupId == null ? undefined : store.groups.get(project.groupId)
  const issuedAt = Math.floor((time.nowMs() + time.skewMs) / 1000)
  const claims = {
    namespace_id: String(group?.id ?? ''),
    namespace_path: group?.fullPath ?? '',
    project_id: String(job.projectId),
    project_path: path,
    user_id: '1',
    user_login: 'root',
    user_email: 'root@example.com',
    pipeline_id: String(job.id),
    pipeline_source: 'push',
    job_id: String(job.id),
    ref: 'main',
    ref_type: 'branch',
    ref_path: 'refs/heads/main',
    ref_protected: String(job.protected),
    runner_id: job.runnerId,
    runner_environment: 'self-hosted',
    sha: '9c4f1e0b5a7d2f3c8e6b1a0d4f5e7c9b2a3d6f80',
    project_visibility: project?.visibility ?? 'private',
    jti: `00000000-0000-4000-8000-${String(job.id).padStart(12, '0')}`,
    iat: issuedAt,
    nbf: issuedAt - 5,
    exp: issuedAt + LIFE_SECONDS,
    iss: externalUrl,
    sub: `project_path:${path}:ref_type:branch:ref:main`,
    aud: audience,
    ...changes.claims,
  }
  const header = { typ: 'JWT', alg: 'RS256', kid: signingKey.publicJwk()['kid'], ...changes.header }
  const signed = [header, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  const signature = sign('sha256', Buffer.from(signed), changes.signWith ?? signingKey.privateKey)
  return `${signed}.${signature.toString('base64url')}`
}

/** The public part of OpenID Connect: who GitLab is and by which keys it signs. Undefined for other paths. */
export function answerOpenId(context: Context, method: string, pathname: string): Answer | undefined {
  const { externalUrl, relativeRoot, signingKey } = context
  if (method !== 'GET' && method !== 'HEAD') return undefined
  switch (pathname) {
    case `${relativeRoot}/oauth/discovery/keys`:
      return json(200, { keys: [signingKey.publicJwk()] })
    case `${relativeRoot}/.well-known/openid-configuration`:
      return json(200, {
        issuer: externalUrl,
        jwks_uri: `${externalUrl}/oauth/discovery/keys`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
      })
    default:
      return undefined
  }
}
