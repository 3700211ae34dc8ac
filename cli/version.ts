/** The package's version, put in by the build. */
export const VERSION: string = process.env['HADR_VERSION'] ?? 'development'
