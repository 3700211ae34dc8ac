import { Counter, Gauge, type Registry } from 'prom-client'
import type { Certificate } from '../lib/tls/pem.ts'

export type CertificateRole = 'leaf' | 'signing' | 'next'

export const ROTATION_STEPS = ['first', 'unusable', 'due', 'promote', 'prune', 'repair', 'publish', 'conflict'] as const
export type RotationStep = (typeof ROTATION_STEPS)[number]

export interface CertificateMetrics {
  /** A new pair was verified: taken into service, or refused. */
  offered(taken: boolean): void
  /** What the role's certificate is now; undefined removes the series. */
  notAfter(role: CertificateRole, certificate: Pick<Certificate, 'notAfterMs'> | undefined): void
  step(step: RotationStep): void
  /** Whether every caBundle trusts what this replica serves. */
  trusted(yes: boolean): void
}

/** Registers the webhook's certificate metrics; call it once per registry. */
export function createCertificateMetrics(registry: Registry): CertificateMetrics {
  const registers = [registry]
  const notAfter = new Gauge({
    name: 'gitlab_runner_hadr_webhook_certificate_not_after_timestamp_seconds',
    help: 'When the certificate expires: the one that is served (leaf), and the authorities that sign now and next.',
    labelNames: ['role'],
    registers,
  })
  const offered = new Counter({
    name: 'gitlab_runner_hadr_webhook_certificate_changes_total',
    help: 'New certificates taken into service, or refused because they did not verify (counted at each try).',
    labelNames: ['result'],
    registers,
  })
  const steps = new Counter({
    name: 'gitlab_runner_hadr_webhook_certificate_rotation_steps_total',
    help: 'Steps of the authority rotation that this replica carried out, and writes it lost to another replica.',
    labelNames: ['step'],
    registers,
  })
  const trusted = new Gauge({
    name: 'gitlab_runner_hadr_webhook_ca_bundle_in_sync',
    help: '1 while every caBundle of the webhook configuration trusts the certificate that is served, else 0.',
    registers,
  })
  for (const result of ['taken', 'refused']) offered.inc({ result }, 0)
  for (const step of ROTATION_STEPS) steps.inc({ step }, 0)
  // A gauge without labels would begin as 0, a claim that nobody has made yet.
  trusted.remove()

  return {
    offered: taken => offered.inc({ result: taken ? 'taken' : 'refused' }),
    notAfter: (role, certificate) =>
      certificate === undefined ? notAfter.remove({ role }) : notAfter.set({ role }, certificate.notAfterMs / 1000),
    step: step => steps.inc({ step }),
    trusted: yes => trusted.set(yes ? 1 : 0),
  }
}
