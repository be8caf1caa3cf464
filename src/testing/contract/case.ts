import type { Store } from '../../store/store.ts'

/** The parts of the contract. */
export type StorePromise =
  | 'creation'
  | 'reading'
  | 'changing'
  | 'guards'
  | 'answers'
  | 'ending'
  | 'expiry'
  | 'finding'
  | 'counting'
  | 'sweeping'
  | 'concurrency'
  | 'joining'
  | 'processes'
  | 'isolation'
  | 'values'
  | 'size'
  | 'upkeep'

/** The optional methods of a store. */
type Optional = 'count' | 'find' | 'sweep'

type With<Method extends Optional> = Store & Required<Pick<Store, Method>>

/** Names a test of a fresh, empty store; with `needs`, of one that has this method. */
export type Test = <Method extends Optional = never>(
  title: string,
  run: (store: With<Method>) => Promise<void>,
  needs?: Method,
) => void

/** Names a test of two stores over the same data, which is new and empty. */
export type TestOfTwo = <Method extends Optional = never>(
  title: string,
  run: (one: With<Method>, other: With<Method>) => Promise<void>,
  needs?: Method,
) => void

/** One promise of the contract, with its test. */
export interface StoreTest {
  /** The part of the contract that it belongs to. */
  readonly promise: StorePromise
  readonly title: string
  /**
   * Runs the test with the store that `open` returns. It must be new and empty, and the caller closes it. Rejects with an
   * `AssertionError` if the store breaks the promise. Resolves to a reason if there is nothing to test, because the store lacks an
   * optional method, or because there is no `openAnother`: show the test as skipped then.
   *
   * `openAnother` opens one more store over the same data, as a second process does: with a connection and memory of its own. The
   * tests of `'processes'` call it, after `open`.
   */
  run(
    open: () => Store | Promise<Store>,
    openAnother?: () => Store | Promise<Store>,
  ): Promise<string | undefined>
}

/** The tests that `name` them. */
export function testsOf(promise: StorePromise, name: (test: Test) => void): StoreTest[] {
  const tests: StoreTest[] = []
  name((title, run, needs) => {
    tests.push({
      promise,
      title,
      async run(open) {
        const store = await open()
        if (needs && !store[needs]) return lacking(needs)
        await run(store as Parameters<typeof run>[0])
        return undefined
      },
    })
  })
  return tests
}

/** The tests of two stores that `name` them. */
export function testsOfTwo(promise: StorePromise, name: (test: TestOfTwo) => void): StoreTest[] {
  const tests: StoreTest[] = []
  name((title, run, needs) => {
    tests.push({
      promise,
      title,
      async run(open, openAnother) {
        if (!openAnother) return 'Give run() a second function, which opens one more store over the same data'
        const one = await open()
        const other = await openAnother()
        if (needs && !one[needs]) return lacking(needs)
        await run(one as Parameters<typeof run>[0], other as Parameters<typeof run>[1])
        return undefined
      },
    })
  })
  return tests
}

function lacking(method: Optional): string {
  return `This store has no ${method}()`
}
