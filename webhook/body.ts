const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The API server refuses objects nested deeper than 10,000; a review of a pod has about 20. */
const MAX_DEPTH = 1000
/**
 * What fits below costs 20 ms and 8 MiB to parse at most, however deep it is; megabytes of brackets would cost the second
 * and the heap that others need.
 */
const DEPTH_MATTERS_BYTES = 256 * 1024

/**
 * The JSON value in a request's bytes, or why there is none. `JSON.parse` makes of a key like `__proto__` a plain
 * property of the object, which is harmless as long as nobody merges objects; the API server sends such keys, since it
 * validates a pod only after we have seen it.
 */
export function parseBody(bytes: Uint8Array): { value: unknown } | { problem: string } {
  if (bytes.length > DEPTH_MATTERS_BYTES && isTooDeep(bytes)) return { problem: `more than ${MAX_DEPTH} levels deep` }
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return { problem: 'the body is not UTF-8' }
  }
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    // V8's message quotes the text, which may hold a pod's secrets.
    return { problem: 'the body is not JSON' }
  }
}

const [QUOTE, BACKSLASH, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x7b, 0x7d]
/** What a list's bracket lacks to be an object's: with it one comparison knows both. */
const LIST_TO_OBJECT = 0x20

function isTooDeep(bytes: Uint8Array): boolean {
  const { length } = bytes
  let depth = 0
  for (let at = 0; at < length; at++) {
    const byte = bytes[at] ?? 0
    if (byte === QUOTE) {
      // Most of a large body is text, so that this loop decides how long it takes.
      let inside = bytes[++at]
      while (inside !== QUOTE && at < length) {
        if (inside === BACKSLASH) at++
        inside = bytes[++at]
      }
      continue
    }
    const bracket = byte | LIST_TO_OBJECT
    if (bracket === OPEN_OBJECT && ++depth > MAX_DEPTH) return true
    if (bracket === CLOSE_OBJECT) depth--
  }
  return false
}
