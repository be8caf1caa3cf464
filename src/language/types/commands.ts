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
 * What a chain resolves to: the fields that it has `'touched'` (on the handle), the `'session'` (on a loaded session), or the value
 * that it has `'taken'`.
 */
export type Mode = 'touched' | 'session' | 'taken'

/**
 * The commands, named after MongoDB's update operators. Each takes a path: `'cart.lines.0.qty'`, or a list of parts,
 * `['prefs', userKey]`. A part is taken verbatim, so it may be a visitor's text. Other arguments are literals: none can become an
 * operator. The calls of a chain are one change, sent in one round trip: it is applied as a whole in one atomic step, or not at all.
 * A chain is sent at the end of the tick, awaited or not. The chains of one request run in the order in which they were begun.
 *
 * Repeated `set`, `unset`, `inc`, `push` and `addToSet` of one path in a chain fold together. Any other chain that names a path
 * twice, or a path and its parent, is refused.
 *
 * A command throws `FieldError` at the call for a path or a value that a session cannot hold, and for overlapping paths; the chain
 * is then never sent. The chain rejects with
 * - `CommandError` if the store refuses the change, such as `inc` of a string;
 * - `SessionEndedError` if the session has ended;
 * - `SessionTooLargeError` if the session would become larger than `maxSize`;
 * - `HeadersSentError` if the change needs a cookie and the headers have been sent;
 * - `StoreUnavailableError`, whose `outcome` says whether the change may have been applied.
 *
 * After any of the first four, nothing was changed. An error that nobody handles fails the request.
 */
export interface Commands<Data, Result, M extends Mode> {
  /**
   * Sets a field. Missing objects on the way to it are created. MongoDB's `$set`.
   *
   *     session.set('cart.total', 12)
   */
  set<const P extends PathLike>(
    path: PathTo<Data, P>,
    value: Write<ValueAt<Data, P>>,
  ): Chain<Data, After<Result, M, Touched<Data, P>>, M>
  /**
   * Sets several fields. Names are paths: `{ 'cart.total': 12 }` keeps the rest of `cart`, and `{ cart: … }` replaces all of it. Do
   * not use a visitor's text as a name, since it would be a path: use `set(['prefs', text], …)`.
   */
  set<F extends FieldNames<Data>>(
    fields: FieldValues<Data, F>,
  ): Chain<Data, After<Result, M, TouchedFields<Data, F>>, M>

  /**
   * Removes fields. An absent field is not an error. An element of an array becomes `null`. Inside an object, the compiler allows only
   * properties that the type declares as optional. MongoDB's `$unset`.
   */
  unset<const P extends PathLike, const Q extends readonly PathLike[]>(
    path: RemovablePath<Data, P>,
    ...more: { readonly [I in keyof Q]: RemovablePath<Data, Q[I]> }
  ): Chain<Data, After<Result, M, MaybeTouched<Data, P | Q[number], never>>, M>

  /**
   * Moves a field, and replaces the field at `to`. An absent field is not an error, and changes nothing. A field cannot be moved into
   * or out of an array. MongoDB's `$rename`.
   */
  rename<const P extends PathLike, const Q extends PathLike>(
    path: RemovablePath<Data, P>,
    to: PathFor<Data, Q, ValueAt<Data, P>>,
  ): Chain<Data, After<Result, M, Merge<MaybeTouched<Data, P, never>, MaybeTouched<Data, Q>>>, M>

  /**
   * Adds to a number. An absent field counts as 0. A `bigint` adds a 64-bit integer. MongoDB's `$inc`.
   *
   *     const { views } = await ctx.session.inc('views')
   *
   * @default by 1
   */
  inc<const P extends PathLike>(
    path: PathTo<Data, P, Numeric>,
    by?: Factor<ValueAt<Data, P>>,
  ): Chain<Data, After<Result, M, Touched<Data, P, Numeric>>, M>

  /** Multiplies a number. An absent field becomes 0. MongoDB's `$mul`. */
  mul<const P extends PathLike>(
    path: PathTo<Data, P, Numeric>,
    by: Factor<ValueAt<Data, P>>,
  ): Chain<Data, After<Result, M, Touched<Data, P, Numeric>>, M>

  /** Sets a field if `value` is less than it in BSON's order, or if the field is absent. MongoDB's `$min`. */
  min<const P extends PathLike>(
    path: PathTo<Data, P, Ordered>,
    value: Write<OrderedIn<ValueAt<Data, P>>>,
  ): Chain<Data, After<Result, M, Touched<Data, P, Ordered>>, M>

  /** Sets a field if `value` is greater than it in BSON's order, or if the field is absent. MongoDB's `$max`. */
  max<const P extends PathLike>(
    path: PathTo<Data, P, Ordered>,
    value: Write<OrderedIn<ValueAt<Data, P>>>,
  ): Chain<Data, After<Result, M, Touched<Data, P, Ordered>>, M>

  /** Sets a field to the store's current time, as a `Date`. MongoDB's `$currentDate`. */
  currentDate<const P extends PathLike>(
    path: PathTo<Data, P, Date>,
  ): Chain<Data, After<Result, M, Touched<Data, P, Date>>, M>

  /**
   * Adds one element to an array, at its end unless `modifiers` say otherwise. An absent array is created. If `value` is an array, it
   * is added as one element. MongoDB's `$push`.
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

  /** Adds those of `values` that the array does not have. An absent array is created. MongoDB's `$addToSet`. */
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

  /** Removes all elements that equal `value`. Objects are compared as a whole. `value` is a literal, unlike in MongoDB's `$pull`. */
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
   * Removes all elements with a field for which the comparison holds. Elements that are not objects stay. `field` may be a path below
   * the element. `'exists'` takes `true` or `false`. MongoDB's `$pull` with a query.
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
   * Removes a field and resolves to its value, or to `undefined` if it was absent. Of concurrent callers, exactly one gets the value:
   * for flash messages, OAuth states and nonces. A chain may contain one `take`.
   */
  take<const P extends PathLike>(
    path: M extends 'taken' ? Fault<'One chain takes one field'> : RemovablePath<Data, P>,
  ): Chain<Data, Read<ValueAt<Data, P>> | undefined | Extract<Result, null>, 'taken'>
}

/** Guards come before the commands of a chain. All guards must hold. */
export interface Guards<Data, Result, M extends Mode> {
  /**
   * The commands that follow are applied only if the field equals `value`, or is an array with an element that does. This is decided
   * in the same atomic step. Otherwise nothing is changed, and the chain resolves to `null`. MongoDB's `$eq`.
   */
  if<const P extends PathLike>(
    path: PathTo<Data, P>,
    value: Write<Comparable<ValueAt<Data, P>>>,
  ): GuardedChain<Data, Result | null, M>
  /**
   * The same with a comparison. `'in'` takes a list of values, `'exists'` takes `true` or `false`. As in MongoDB's filters, `<`, `<=`,
   * `>` and `>=` compare only values of one type, and `!=` holds for an absent field.
   *
   *     ctx.session.if('credits', '>=', 5).inc('credits', -5) // never overdraws
   */
  if<const P extends PathLike, const C extends Comparator>(
    path: PathTo<Data, P>,
    comparator: ComparatorFor<Comparable<ValueAt<Data, P>>, C, Comparator>,
    value: Operand<Comparable<ValueAt<Data, P>>, C>,
  ): GuardedChain<Data, Result | null, M>
}

/** A chain of commands, which is one change. It can be awaited like a promise, and resolves to the `Result`. */
export interface Chain<Data, Result, M extends Mode = 'session'>
  extends Commands<Data, Result, M>,
    PromiseLike<Result> {
  /** As a promise's. An error that is handled does not fail the request. */
  catch<Other = never>(
    rejected?: ((reason: unknown) => Other | PromiseLike<Other>) | null,
  ): Promise<Result | Other>
  /** As a promise's. */
  finally(settled?: (() => void) | null): Promise<Result>
}

/** A chain that has only guards so far. */
export interface GuardedChain<Data, Result, M extends Mode = 'session'>
  extends Chain<Data, Result, M>,
    Guards<Data, Result, M> {}

/** What a chain resolves to once one more command has touched `More`. */
type After<Result, M extends Mode, More> = [M] extends ['touched']
  ? Result extends null
    ? null
    : Merge<Result, More>
  : Result
