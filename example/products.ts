export interface Product {
  readonly sku: string
  readonly name: string
  readonly from: string
  readonly about: string
  /** Euros for 100 grams. */
  readonly price: number
}

export const products: readonly Product[] = [
  { sku: 'sencha', name: 'Sencha', from: 'Uji, Japan', about: 'Green, grassy, a little sweet', price: 8.5 },
  {
    sku: 'jasmine',
    name: 'Jasmine pearls',
    from: 'Fujian, China',
    about: 'Rolled by hand, floral',
    price: 14,
  },
  { sku: 'oolong', name: 'Milk oolong', from: 'Alishan, Taiwan', about: 'Soft, buttery, long', price: 12 },
  {
    sku: 'darjeeling',
    name: 'Darjeeling',
    from: 'West Bengal, India',
    about: 'First flush, bright',
    price: 11,
  },
  { sku: 'assam', name: 'Assam', from: 'Brahmaputra, India', about: 'Malty, strong, takes milk', price: 7.5 },
  {
    sku: 'rooibos',
    name: 'Rooibos',
    from: 'Cederberg, South Africa',
    about: 'Red, round, no caffeine',
    price: 6,
  },
]
