import type { Act } from './acts.ts'

/** One contender doing one thing, in one round. */
export interface Figure {
  readonly contender: string
  readonly act: Act
  /** Of the padding in each session. */
  readonly bytes: number
  readonly clients: number
  /** All clients have one session. */
  readonly isHot: boolean
  readonly round: number
  /** Requests per second. */
  readonly rate: number
  /** Microseconds of the app's process for each request. */
  readonly cpu: number
  /** Milliseconds. */
  readonly median: number
  readonly p99: number
}

export type Case = Pick<Figure, 'act' | 'bytes' | 'clients' | 'isHot'>

export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const at = (index: number) => sorted[index] ?? Number.NaN
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    least: at(0),
    most: at(sorted.length - 1),
  }
}

/** What all was measured, to be asked for by case and contender. */
export class Figures {
  readonly all: readonly Figure[]

  constructor(all: readonly Figure[]) {
    this.all = all
  }

  /** The contenders that have been measured in this case, in their order. */
  contenders(wanted: Case): string[] {
    return [...new Set(this.all.filter(figure => isOf(figure, wanted)).map(({ contender }) => contender))]
  }

  of(contender: string, wanted: Case): Figure[] {
    return this.all.filter(figure => figure.contender === contender && isOf(figure, wanted))
  }

  /** How one is next to its baseline, in the same case. */
  beside(
    contender: string,
    wanted: Case,
    compare: (one: Figure, other: Figure) => number,
  ): Spread | undefined {
    return this.compared([contender, wanted], [baselineOf(contender, wanted), wanted], compare)
  }

  /** What is measured next to what the baseline has in the same round, whatever the machine did meanwhile. */
  compared(
    [contender, wanted]: readonly [string, Case],
    [baseline, there]: readonly [string, Case],
    compare: (one: Figure, other: Figure) => number,
  ): Spread | undefined {
    const others = new Map(this.of(baseline, there).map(figure => [figure.round, figure]))
    const values = this.of(contender, wanted).flatMap(figure => {
      const other = others.get(figure.round)
      return other ? [compare(figure, other)] : []
    })
    return values.length > 0 ? spreadOf(values) : undefined
  }
}

function isOf(figure: Figure, { act, bytes, clients, isHot }: Case): boolean {
  return figure.act === act && figure.bytes === bytes && figure.clients === clients && figure.isHot === isHot
}

export const timesAsFast = (one: Figure, other: Figure) => one.rate / other.rate
export const timesTheCPU = (one: Figure, other: Figure) => one.cpu / other.cpu
export const moreCPU = (one: Figure, other: Figure) => one.cpu - other.cpu
export const timesTheP99 = (one: Figure, other: Figure) => one.p99 / other.p99

/** Next to what a contender is measured: on the same store. */
export function baselineOf(contender: string, { act }: Case): string {
  return act === 'untouched' ? 'Koa, driver connected' : `by hand (${storeOf(contender)})`
}

/** `MongoDB` of `ours (MongoDB)`; empty for one that has none. */
export function storeOf(contender: string): string {
  return /\((.*)\)$/.exec(contender)?.[1] ?? ''
}
