/** A table's name as programs name things: `shop_sessions` becomes `shopSessions`. */
export function camel(name: string): string {
  const [first = '', ...others] = name.split(/[^A-Za-z0-9]+/).filter(word => word !== '')
  const joined = first.charAt(0).toLowerCase() + first.slice(1) + others.map(capital).join('')
  return /^[a-z]/.test(joined) ? joined : `sessions${capital(joined)}`
}

export function pascal(name: string): string {
  return capital(camel(name))
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}

/** A text in a program of TypeScript. */
export function literal(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
}
