import { ancestorsOf, overlap, type Path } from './paths.ts'

/** Up to this number, comparing one by one costs less than an index. */
const FEW = 8

/** The paths that a chain touches, each with the index of its operation. No two overlap. */
export class TouchedPaths {
  readonly #paths: Path[] = []
  readonly #places: number[] = []
  #index: Index | undefined

  add(path: Path, place: number): void {
    this.#paths.push(path)
    this.#places.push(place)
    if (this.#index) this.#index.add(path, place)
    else if (this.#paths.length > FEW) this.#index = new Index(this.#paths, this.#places)
  }

  /** The index of an operation whose path is this path, above it or below it. */
  overlapping(path: Path): number | undefined {
    if (this.#index) return this.#index.overlapping(path)
    for (let at = 0; at < this.#paths.length; at++) {
      if (overlap(this.#paths[at] as Path, path)) return this.#places[at]
    }
    return undefined
  }
}

class Index {
  readonly #places = new Map<Path, number>()
  /** For each path above touched paths, the index of one of their operations. */
  readonly #below = new Map<Path, number>()

  constructor(paths: readonly Path[], places: readonly number[]) {
    for (const [at, path] of paths.entries()) this.add(path, places[at] as number)
  }

  add(path: Path, place: number): void {
    this.#places.set(path, place)
    for (const ancestor of ancestorsOf(path)) this.#below.set(ancestor, place)
  }

  overlapping(path: Path): number | undefined {
    const place = this.#places.get(path) ?? this.#below.get(path)
    if (place !== undefined) return place
    const holder = ancestorsOf(path).find(ancestor => this.#places.has(ancestor))
    return holder === undefined ? undefined : this.#places.get(holder)
  }
}
