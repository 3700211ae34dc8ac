const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The API server refuses objects nested deeper than 10,000; a review of a pod has about 20. */
const MAX_DEPTH = 1000
/** What fits below costs little to parse however deep it is; megabytes of brackets would cost seconds and the heap. */
const DEPTH_MATTERS_BYTES = 64 * 1024

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

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d]

function isTooDeep(bytes: Uint8Array): boolean {
  const { length } = bytes
  let depth = 0
  for (let at = 0; at < length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) {
      // Most of a large body is text, so that this loop decides how long it takes.
      for (at++; at < length && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++
    } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      if (++depth > MAX_DEPTH) return true
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth--
  }
  return false
}
