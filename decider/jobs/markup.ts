/** Markup that may stand in a page as it is. Only `markup` makes it, so that no text becomes one by accident. */
export class Markup {
  constructor(readonly text: string) {}
}

type Part = string | number | Markup | readonly Markup[]

/** A template whose parts are text, whatever they hold; only Markup is put in as it is. */
export function markup(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  const written = parts.map(part => {
    if (part instanceof Markup) return part.text
    if (typeof part === 'object') return part.map(({ text }) => text).join('')
    return escape(String(part))
  })
  return new Markup(strings.reduce((all, string, index) => all + (written[index - 1] ?? '') + string))
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Control characters, which nobody can see, become the sign for what cannot be shown. */
function escape(text: string): string {
  return text.replaceAll(/[\p{Cc}]/gu, '\ufffd').replaceAll(/[&<>"']/g, letter => ENTITIES[letter] ?? '')
}
