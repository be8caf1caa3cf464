import { products } from '../products.ts'
import { grant, type Tokens } from './provider.ts'

/** What the race's sessions hold, of either kind. */
export interface Fields {
  visitor: string
  /** The numbers of the requests whose line was kept. */
  lines: number[]
  tokens: Tokens
  /** What a shop remembers beside, so that a session has the size of a real one: about 6 kB. */
  seen: { name: string; about: string }[]
}

export function filled(): Fields {
  const seen = Array.from({ length: 100 }, (_, index) => products[index % products.length])
  return {
    visitor: 'Ada',
    lines: [],
    tokens: grant(Date.now()),
    seen: seen.flatMap(product => (product ? [{ name: product.name, about: product.about }] : [])),
  }
}
