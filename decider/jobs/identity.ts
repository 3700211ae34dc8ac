import { createLocalJWKSet, errors, jwtVerify, type JSONWebKeySet, type JWTPayload } from 'jose'
import type { SigningKeys } from '../../lib/gitlab/signing-keys.ts'
import type { Clock } from '../../lib/service/clock.ts'

/** Who a bearer token says that its bearer is. */
export type Verdict =
  | { kind: 'job'; jobId: number }
  /** For the caller; never repeats the token. */
  | { kind: 'refused'; why: string }
  /** GitLab's keys cannot be had, and nobody can be told from anybody. */
  | { kind: 'unavailable'; why: string }

export type JobVerifier = (authorization: string | undefined) => Promise<Verdict>

export interface VerifierOptions {
  keys: SigningKeys
  issuer: string
  audience: string
  clock: Clock
}

/** Clocks of GitLab and of this machine may differ so much. */
const TOLERANCE_SECONDS = 10
/** GitLab's are 1 to 2 KiB long. */
const MAX_TOKEN_LENGTH = 16 * 1024

/**
 * Verifies a job's `id_token` (GitLab: OpenID Connect ID tokens, RS256) from an `Authorization: Bearer` header: signature,
 * `iss`, `aud`, `exp`, `nbf` and a `job_id`. A key id that is not known makes the keys be read again, once.
 */
export function createJobVerifier({ keys, issuer, audience, clock }: VerifierOptions): JobVerifier {
  async function payloadOf(token: string, fresh: boolean): Promise<JWTPayload> {
    const set = await keys.read({ fresh })
    const { payload } = await jwtVerify(token, createLocalJWKSet(set as unknown as JSONWebKeySet), {
      issuer,
      audience,
      algorithms: ['RS256'],
      requiredClaims: ['exp', 'job_id'],
      clockTolerance: TOLERANCE_SECONDS,
      currentDate: new Date(clock.wallMs()),
    })
    return payload
  }

  return async authorization => {
    if (authorization === undefined || authorization === '') {
      return { kind: 'refused', why: 'no token: send Authorization: Bearer with an id_token of the job' }
    }
    const [, token] = /^Bearer +([\w.-]+) *$/i.exec(authorization) ?? []
    if (token === undefined || token.length > MAX_TOKEN_LENGTH) {
      return { kind: 'refused', why: 'the Authorization header is not Bearer with an id_token; is the variable empty?' }
    }
    try {
      const payload = await payloadOf(token, false).catch((error: unknown) => {
        if (error instanceof errors.JWKSNoMatchingKey) return payloadOf(token, true)
        throw error
      })
      const jobId = Number(payload['job_id'])
      return Number.isSafeInteger(jobId) && jobId > 0
        ? { kind: 'job', jobId }
        : { kind: 'refused', why: 'the token has no job_id: it is no id_token of a job' }
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) {
        return { kind: 'unavailable', why: 'GitLab’s signing keys cannot be read now; try again' }
      }
      return { kind: 'refused', why: explain(error, { issuer, audience }) }
    }
  }
}

function explain(error: errors.JOSEError, { issuer, audience }: { issuer: string; audience: string }): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired'
  if (error instanceof errors.JWTClaimValidationFailed) {
    switch (error.claim) {
      case 'aud':
        return `the token is for somebody else: its aud must be ${audience}`
      case 'iss':
        return `the token is of somebody else: its iss must be ${issuer}`
      case 'nbf':
        return 'the token is not valid yet'
      case 'job_id':
        return 'the token has no job_id: it is no id_token of a job'
      default:
        return `the token's ${error.claim} is wrong`
    }
  }
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) {
    return 'the token is not signed by GitLab'
  }
  return 'the token is no id_token that GitLab signs (RS256)'
}
