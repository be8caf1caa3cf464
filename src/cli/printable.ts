/** Control characters but those of ASCII's first column, and what changes the direction of text. JSON leaves them as they are. */
const leftByJSON = /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/**
 * Text of a store, of a server or of a visitor for a terminal: what would control it, begin a line or change the direction of text
 * is escaped as in JSON.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is meant
  return text.replace(/[\x00-\x1f]/g, escaped).replace(leftByJSON, escaped)
}

/** A document that terminals can show too. */
export function jsonOf(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(leftByJSON, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
