import type { Comparator, PullComparator } from '../change.ts'
import type { PathLike } from '../paths.ts'
import type {
  Comparable,
  ComparatorFor,
  Element,
  Factor,
  FieldNames,
  FieldValue,
  FieldValues,
  List,
  Modifiers,
  Operand,
  OrderedIn,
  TouchedFields,
} from './operands.ts'
import type {
  MaybeTouched,
  Merge,
  PathBelow,
  PathFor,
  PathTo,
  RemovablePath,
  Touched,
  ValueAt,
} from './paths.ts'
import type { Fault, Numeric, Ordered, Read, Write } from './values.ts'

/**
 * What a chain resolves to: the fields it has `'touched'` (on the handle), the `'session'` (on a loaded one), or the value it
 * has `'taken'`. The first grows with every command.
 */
export type Mode = 'touched' | 'session' | 'taken'

/**
 * The commands, after MongoDB's update operators. Each takes a path, `'cart.lines.0.qty'` or its parts `['prefs', userKey]` (a
 * part is taken verbatim, so what a visitor sends may be one), and literals: no argument can become an operator. Calls in a
 * chain are one command: one round trip, applied whole in one atomic step, or not at all. A chain starts by the end of the
 * tick, awaited or not; chains of one request run in the order they were begun.
 *
 * Repeated `set`, `unset`, `inc`, `push` and `addToSet` of one path in a chain fold together; anything else that names a path
 * twice, or a path and its parent, is refused.
 *
 * Each command throws `FieldError` at the call, for a path or a value that a session cannot hold or for a clash of paths; the
 * chain is then never sent. What it returns rejects, and nothing is changed, with `CommandError` when the store refuses it
 * (`inc` of text), `SessionEndedError` when the session has ended, `SessionTooLargeError`, and `HeadersSentError` when the
 * cookie it needs cannot be sent any more; and with `StoreUnavailableError`, whose `outcome` says whether the change may have
 * been applied. A failure that nobody handles fails the request.
 */
export interface Commands<Data, Result, M extends Mode> {
  /**
   * Gives a field a value; objects on the way to it are created. MongoDB's `$set`.
   *
   *     session.set('cart.total', 12)
   */
  set<const P extends PathLike>(
    path: PathTo<Data, P>,
    value: Write<ValueAt<Data, P>>,
  ): Chain<Data, After<Result, M, Touched<Data, P>>, M>
  /**
   * Gives several fields their values. Names are paths, so `{ 'cart.total': 12 }` leaves the rest of `cart` alone and `{ cart:
   * … }` replaces it. A visitor's text as a name would be a path too: give it as a part, `set(['prefs', text], …)`.
   */
  set<F extends FieldNames<Data>>(
    fields: FieldValues<Data, F>,
  ): Chain<Data, After<Result, M, TouchedFields<Data, F>>, M>

  /**
   * Removes fields; one that is not there is no error. An element of an array becomes `null`. MongoDB's `$unset`. Of an object
   * inside the session, only what its type declares as optional can be removed.
   */
  unset<const P extends PathLike, const Q extends readonly PathLike[]>(
    path: RemovablePath<Data, P>,
    ...more: { readonly [I in keyof Q]: RemovablePath<Data, Q[I]> }
  ): Chain<Data, After<Result, M, MaybeTouched<Data, P | Q[number], never>>, M>

  /**
   * Moves a field, replacing what is at `to`; one that is not there is left so, and is no error. MongoDB's `$rename`, which
   * moves nothing into or out of an array.
   */
  rename<const P extends PathLike, const Q extends PathLike>(
    path: RemovablePath<Data, P>,
    to: PathFor<Data, Q, ValueAt<Data, P>>,
  ): Chain<Data, After<Result, M, Merge<MaybeTouched<Data, P, never>, MaybeTouched<Data, Q>>>, M>

  /**
   * Adds to a number; a field that is not there counts as 0. A `bigint` adds a 64-bit integer. MongoDB's `$inc`.
   *
   *     const { views } = await ctx.session.inc('views')
   *
   * @default by 1
   */
  inc<const P extends PathLike>(
    path: PathTo<Data, P, Numeric>,
    by?: Factor<ValueAt<Data, P>>,
  ): Chain<Data, After<Result, M, Touched<Data, P, Numeric>>, M>

  /** Multiplies a number; a field that is not there becomes 0. MongoDB's `$mul`. */
  mul<const P extends PathLike>(
    path: PathTo<Data, P, Numeric>,
    by: Factor<ValueAt<Data, P>>,
  ): Chain<Data, After<Result, M, Touched<Data, P, Numeric>>, M>

  /** Sets a field if `value` is less than it, or if it is not there; BSON's order. MongoDB's `$min`. */
  min<const P extends PathLike>(
    path: PathTo<Data, P, Ordered>,
    value: Write<OrderedIn<ValueAt<Data, P>>>,
  ): Chain<Data, After<Result, M, Touched<Data, P, Ordered>>, M>

  /** Sets a field if `value` is greater than it, or if it is not there; BSON's order. MongoDB's `$max`. */
  max<const P extends PathLike>(
    path: PathTo<Data, P, Ordered>,
    value: Write<OrderedIn<ValueAt<Data, P>>>,
  ): Chain<Data, After<Result, M, Touched<Data, P, Ordered>>, M>

  /** Sets a field to the store's present time, as a `Date`. MongoDB's `$currentDate`. */
  currentDate<const P extends PathLike>(
    path: PathTo<Data, P, Date>,
  ): Chain<Data, After<Result, M, Touched<Data, P, Date>>, M>

  /**
   * Adds one element to an array, at its end unless `modifiers` say otherwise; an array that is not there is created. An array
   * as `value` is one element. MongoDB's `$push`.
   *
   *     session.push('seen', sku, { slice: -100 }) // keeps the last 100
   */
  push<const P extends PathLike>(
    path: PathTo<Data, P, List>,
    value: Write<Element<ValueAt<Data, P>>>,
    modifiers?: Modifiers<Element<ValueAt<Data, P>>>,
  ): Chain<Data, After<Result, M, Touched<Data, P, List>>, M>

  /** Adds all of `values` to an array, as `push` adds one. MongoDB's `$push` with `$each`. */
  pushAll<const P extends PathLike>(
    path: PathTo<Data, P, List>,
    values: readonly Write<Element<ValueAt<Data, P>>>[],
    modifiers?: Modifiers<Element<ValueAt<Data, P>>>,
  ): Chain<Data, After<Result, M, Touched<Data, P, List>>, M>

  /** Adds those of `values` that an array does not have; an array that is not there is created. MongoDB's `$addToSet`. */
  addToSet<const P extends PathLike>(
    path: PathTo<Data, P, List>,
    ...values: [Write<Element<ValueAt<Data, P>>>, ...Write<Element<ValueAt<Data, P>>>[]]
  ): Chain<Data, After<Result, M, Touched<Data, P, List>>, M>

  /**
   * Removes an array's last element (`1`) or its first (`-1`). MongoDB's `$pop`.
   *
   * @default end 1
   */
  pop<const P extends PathLike>(
    path: PathTo<Data, P, List>,
    end?: 1 | -1,
  ): Chain<Data, After<Result, M, MaybeTouched<Data, P, List>>, M>

  /** Removes all elements that equal `value`, objects as a whole. It is a literal, unlike what MongoDB's `$pull` takes. */
  pull<const P extends PathLike>(
    path: PathTo<Data, P, List>,
    value: Write<Element<ValueAt<Data, P>>>,
  ): Chain<Data, After<Result, M, MaybeTouched<Data, P, List>>, M>
  /** Removes all elements for which the comparison holds: `pull('scores', '<', 10)`. MongoDB's `$pull`. */
  pull<const P extends PathLike, const C extends PullComparator>(
    path: PathTo<Data, P, List>,
    comparator: ComparatorFor<Element<ValueAt<Data, P>>, C, PullComparator>,
    value: Operand<Element<ValueAt<Data, P>>, C>,
  ): Chain<Data, After<Result, M, MaybeTouched<Data, P, List>>, M>
  /**
   * Removes all elements of which a field of theirs compares so; elements that are no objects stay. `field` may be a path below
   * them, and `'exists'` takes `true` or `false`. MongoDB's `$pull` with a query.
   *
   *     session.pull('cart.lines', 'sku', '=', sku)
   */
  pull<const P extends PathLike, const F extends PathLike, const C extends Comparator>(
    path: PathTo<Data, P, List>,
    field: PathBelow<Element<ValueAt<Data, P>>, F>,
    comparator: ComparatorFor<FieldValue<ValueAt<Data, P>, F>, C, Comparator>,
    value: Operand<FieldValue<ValueAt<Data, P>, F>, C>,
  ): Chain<Data, After<Result, M, MaybeTouched<Data, P, List>>, M>

  /** Removes all elements that equal one of `values`. MongoDB's `$pullAll`. */
  pullAll<const P extends PathLike>(
    path: PathTo<Data, P, List>,
    values: readonly Write<Element<ValueAt<Data, P>>>[],
  ): Chain<Data, After<Result, M, MaybeTouched<Data, P, List>>, M>

  /**
   * Removes a field and resolves to what it held, or to `undefined` if it was not there. Of callers at the same time, exactly
   * one gets it: for flash messages, OAuth states, nonces. One chain takes one field.
   */
  take<const P extends PathLike>(
    path: M extends 'taken' ? Fault<'One chain takes one field'> : RemovablePath<Data, P>,
  ): Chain<Data, Read<ValueAt<Data, P>> | undefined | Extract<Result, null>, 'taken'>
}

/** Guards come before the commands of a chain; all of them must hold. */
export interface Guards<Data, Result, M extends Mode> {
  /**
   * The commands that follow are applied only if the field equals `value`, or is an array with such an element, decided in the
   * same atomic step. Otherwise nothing is changed, and the chain resolves to `null`. MongoDB's `$eq`.
   */
  if<const P extends PathLike>(
    path: PathTo<Data, P>,
    value: Write<Comparable<ValueAt<Data, P>>>,
  ): GuardedChain<Data, Result | null, M>
  /**
   * The same with a comparison; `'in'` takes a list of values, `'exists'` takes `true` or `false`. As in MongoDB's filters,
   * only values of one type are less or greater than another, and `!=` holds for a field that is not there.
   *
   *     ctx.session.if('credits', '>=', 5).inc('credits', -5) // never overdraws
   */
  if<const P extends PathLike, const C extends Comparator>(
    path: PathTo<Data, P>,
    comparator: ComparatorFor<Comparable<ValueAt<Data, P>>, C, Comparator>,
    value: Operand<Comparable<ValueAt<Data, P>>, C>,
  ): GuardedChain<Data, Result | null, M>
}

/** Commands that are one change, on their way. Awaiting it gives the `Result`; the first `await` or `then` asks for it. */
export interface Chain<Data, Result, M extends Mode = 'session'>
  extends Commands<Data, Result, M>,
    PromiseLike<Result> {
  /** As a promise's. Whoever handles a failure keeps it from failing the request. */
  catch<Other = never>(
    rejected?: ((reason: unknown) => Other | PromiseLike<Other>) | null,
  ): Promise<Result | Other>
  /** As a promise's. */
  finally(settled?: (() => void) | null): Promise<Result>
}

/** A chain that has guards only, so far. */
export interface GuardedChain<Data, Result, M extends Mode = 'session'>
  extends Chain<Data, Result, M>,
    Guards<Data, Result, M> {}

/** What a chain resolves to once one more command has touched `More`. */
type After<Result, M extends Mode, More> = [M] extends ['touched']
  ? Result extends null
    ? null
    : Merge<Result, More>
  : Result
