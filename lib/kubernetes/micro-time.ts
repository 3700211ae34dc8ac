/** The API server takes exactly six decimals; `toISOString` gives three and is refused. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z')
}
