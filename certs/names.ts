/** Names that the certificates, the manifests and their rights by resourceNames share. All but the namespace is fixed. */

/** Holds the authorities; comes with the manifests, empty, since a right by name cannot cover `create`. */
export const CA_SECRET = 'gitlab-runner-hadr-ca'
export const WEBHOOK_CONFIGURATION = 'gitlab-runner-hadr'
export const WEBHOOK_SERVICE = 'gitlab-runner-hadr-webhook'
/** Owns the caBundles in `metadata.managedFields`, so that an apply of the manifests leaves them alone. */
export const FIELD_MANAGER = 'gitlab-runner-hadr'
