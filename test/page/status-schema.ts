/** Writes the published schema of `/status`: `npm run generate`. A test says when this was forgotten. */
import { writeFile } from 'node:fs/promises'
import { format } from 'prettier'
import { statusSchema } from '../../decider/status/schema.ts'

const text = JSON.stringify(statusSchema)
await writeFile('docs/status.schema.json', await format(text, { parser: 'json', printWidth: 120 }))
