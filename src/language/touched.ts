import { ancestorsOf, overlap, type Path } from './paths.ts'

/** So few are compared one by one, which costs less than keeping an index of them. */
const FEW = 8

/** The paths that a chain touches, none of which overlap, each with the place of the operation that does. */
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

  /** The place of one that is this path, holds it or is held by it. */
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
  /** For each path that holds some, the place of one of those. */
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
