/** Put in by the build from package.json; a run from source has none. */
export const VERSION = process.env['HADR_VERSION'] ?? '0.0.0-source'
