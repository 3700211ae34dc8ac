import { writeFile } from 'node:fs/promises'
import { artefacts } from './artefacts.ts'

// npm run generate
for (const [path, text] of await artefacts()) {
  await writeFile(new URL(`../../${path}`, import.meta.url), text)
  process.stdout.write(`${path}\n`)
}
