/** HTML that is safe to send: only `html` makes it. */
export class Html {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

/** A template whose values are escaped, except those that are HTML themselves. `false` and `undefined` are nothing. */
export function html(texts: TemplateStringsArray, ...values: unknown[]): Html {
  return new Html(String.raw({ raw: texts }, ...values.map(escaped)))
}

function escaped(value: unknown): string {
  if (value instanceof Html) return String(value)
  if (Array.isArray(value)) return value.map(escaped).join('')
  if (value === undefined || value === false) return ''
  return String(value).replace(/[&<>"']/g, sign => `&#${sign.charCodeAt(0)};`)
}
