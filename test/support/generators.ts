import { Binary, Decimal128, Double, Long, ObjectId, UUID } from 'bson'
import fc from 'fast-check'
import type { Change, Comparator, Guard, Operation, PushModifiers } from '../../src/language/change.ts'
import { overlap, type Path } from '../../src/language/paths.ts'
import { type Fields, isContainer, isPlain } from '../../src/language/values.ts'

const names = ['a', 'b', 'c', 'd', 'ü', '名', '😀', '\uffee', '0', '1', '10', '9', '01']

/** A key of a field or of an object inside one. Few, so that paths meet; some are numeric, or nearly so, some beyond ASCII. */
export const someName: fc.Arbitrary<string> = fc.constantFrom(...names)

const int32s = [0, 1, 2, 3, -1, 7, 1000, 2 ** 31 - 1, 2 ** 31 - 2, -(2 ** 31), -(2 ** 31) + 1]
const doubles = [
  0.5,
  -0,
  1.5,
  -2.25,
  0.1,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 53,
  2 ** 53 + 2,
  1e300,
  -1e300,
  5e-324,
  1e21,
]
const longs = [
  0n,
  1n,
  2n,
  -1n,
  1000n,
  2n ** 31n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 63n - 2n,
  -(2n ** 63n),
]
const decimals = [
  '0',
  '-0',
  '1',
  '1.0',
  '2',
  '0.5',
  '0.1',
  '1E+3',
  '123.456',
  '-7.25',
  '2147483648',
  '1E-10',
  '-1E+400',
]
const someDigits = fc.bigInt({ min: -(10n ** 34n) + 1n, max: 10n ** 34n - 1n })

/** A number that a command takes as it is: an int32 or a double, an int64, a decimal. */
export const someNumber: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...int32s) },
  { weight: 2, arbitrary: fc.integer() },
  { weight: 3, arbitrary: fc.constantFrom(...doubles) },
  { weight: 1, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  { weight: 3, arbitrary: fc.constantFrom(...longs) },
  { weight: 1, arbitrary: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) },
  { weight: 1, arbitrary: fc.constantFrom(...longs).map(Long.fromBigInt) },
  { weight: 3, arbitrary: fc.constantFrom(...decimals).map(Decimal128.fromString) },
  { weight: 1, arbitrary: fc.tuple(someDigits, fc.integer({ min: -40, max: 40 })).map(decimalOf) },
)

function decimalOf([digits, exponent]: [bigint, number]): Decimal128 {
  return Decimal128.fromString(`${digits}E${exponent}`)
}

/** A double that looks like an integer is only ever the result of an operator. */
const someStoredDouble = fc.constantFrom(0, 1, 2, 1000).map(n => new Double(n))

export const someText = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('', 'a', 'b', 'ab', 'B', 'ü', '名', '😀', '\uffee', '1', 'a\0b') },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) },
)
const someDate = fc
  .oneof(fc.constantFrom(0, 1, -1, 1e12, -62135596800000), fc.integer())
  .map(milliseconds => new Date(milliseconds))
const someBytes = fc.oneof(
  fc.uint8Array({ maxLength: 4 }).map(bytes => Buffer.from(bytes)),
  fc.uint8Array({ maxLength: 4 }).map(bytes => new Binary(bytes, 0)),
  fc
    .constantFrom('00000000-0000-4000-8000-000000000000', 'ffffffff-ffff-4fff-8fff-ffffffffffff')
    .map(t => new UUID(t)),
)
const someObjectId = fc.constantFrom('0', '1', 'f').map(digit => new ObjectId(digit.repeat(24)))

const someLeaf: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 2, arbitrary: fc.constant(null) },
  { weight: 2, arbitrary: fc.boolean() },
  { weight: 8, arbitrary: someNumber },
  { weight: 4, arbitrary: someText },
  { weight: 1, arbitrary: someDate },
  { weight: 1, arbitrary: someBytes },
  { weight: 1, arbitrary: someObjectId },
)
const someStoredLeaf = fc.oneof(
  { weight: 20, arbitrary: someLeaf },
  { weight: 1, arbitrary: someStoredDouble },
)

/** Something that arrays are sorted by the fields of. */
const someItem = fc.record(
  {
    a: fc.constantFrom<unknown>(1, 2, 3n, 'x', { b: 1 }, [2, 1]),
    b: fc.constantFrom<unknown>(1, 2, 0.5, null),
  },
  { requiredKeys: [], noNullPrototype: true },
)

function nested(leaf: fc.Arbitrary<unknown>, depth: number): fc.Arbitrary<unknown> {
  if (depth === 0) return leaf
  const inner = nested(leaf, depth - 1)
  return fc.oneof(
    { weight: 5, arbitrary: leaf },
    { weight: 2, arbitrary: fc.array(inner, { maxLength: 4 }) },
    { weight: 1, arbitrary: fc.array(fc.constantFrom<unknown>(1, 2, 3, 2n, 'a', null), { maxLength: 5 }) },
    { weight: 1, arbitrary: fc.array(someItem, { maxLength: 5 }) },
    { weight: 2, arbitrary: fc.dictionary(someName, inner, { maxKeys: 3, noNullPrototype: true }) },
  )
}

/** A value as a command takes it. */
export const someValue: fc.Arbitrary<unknown> = nested(someLeaf, 2)

/** A value as a store gives it back. */
export const someStoredValue: fc.Arbitrary<unknown> = nested(someStoredLeaf, 2)

/** The fields of a stored session. */
export const someFields: fc.Arbitrary<Fields> = fc.dictionary(someName, nested(someStoredLeaf, 3), {
  maxKeys: 5,
  noNullPrototype: true,
})

const somePath: fc.Arbitrary<Path> = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: someName },
      { weight: 1, arbitrary: fc.constantFrom('0', '1', '2', '5', '00', '01', '007') },
    ),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  .map(parts => parts.join('.'))

/** A path that leads somewhere in these fields, or one that may not. */
function pathIn(fields: Fields, accept: (value: unknown) => boolean): fc.Arbitrary<Path> {
  const paths = pathsOf(fields, accept)
  if (paths.length === 0) return somePath
  const existing = fc.constantFrom(...paths)
  return fc.oneof(
    { weight: 5, arbitrary: existing },
    { weight: 1, arbitrary: fc.tuple(existing, someName).map(parts => parts.join('.')) },
    { weight: 2, arbitrary: somePath },
  )
}

function pathsOf(container: Fields | unknown[], accept: (value: unknown) => boolean, prefix = ''): Path[] {
  return Object.entries(container).flatMap(([key, value]) => {
    const path = `${prefix}${key}`
    return [
      ...(accept(value) ? [path] : []),
      ...(isContainer(value) ? pathsOf(value, accept, `${path}.`) : []),
    ]
  })
}

function valueAt(fields: Fields, path: Path): unknown {
  let current: unknown = fields
  for (const part of path.split('.')) {
    if (!isContainer(current) || !Object.hasOwn(current, part)) return undefined
    current = (current as Fields)[part]
  }
  return current
}

const isAnything = () => true
const isNumeric = (value: unknown) =>
  typeof value === 'number' ||
  typeof value === 'bigint' ||
  value instanceof Decimal128 ||
  value instanceof Long

/** Values worth comparing with or removing: now and then one that is really there. */
function valueLike(fields: Fields, path: Path): fc.Arbitrary<unknown> {
  const value = valueAt(fields, path)
  const items = Array.isArray(value) ? value.filter(item => !(item instanceof Double)) : []
  const there = [...items, ...(value === undefined ? [] : [value])].filter(item => !holdsDouble(item))
  if (there.length === 0) return someValue
  return fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...there) }, { weight: 3, arbitrary: someValue })
}

/** A command is never given one. */
function holdsDouble(value: unknown): boolean {
  return value instanceof Double || (isContainer(value) && Object.values(value).some(holdsDouble))
}

const comparators = ['=', '!=', '<', '<=', '>', '>=', 'in'] as const

function someGuard(fields: Fields): fc.Arbitrary<Guard> {
  return pathIn(fields, isAnything).chain(path =>
    fc
      .constantFrom<Comparator>(...comparators, 'exists')
      .chain(comparator => argFor(comparator, fields, path).map(arg => ({ path, comparator, arg }))),
  )
}

function argFor(comparator: Comparator, fields: Fields, path: Path): fc.Arbitrary<unknown> {
  if (comparator === 'exists') return fc.boolean()
  const value = valueLike(fields, path)
  return comparator === 'in' ? listOf(value) : value
}

/** Now and then so many that they are no longer compared one by one. */
function listOf(value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown[]> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.array(value, { maxLength: 3 }) },
    { weight: 1, arbitrary: fc.array(value, { minLength: 9, maxLength: 14 }) },
  )
}

const someModifiers: fc.Arbitrary<PushModifiers> = fc
  .record(
    {
      slice: fc.integer({ min: -4, max: 4 }),
      sort: fc.oneof(
        fc.constantFrom<1 | -1>(1, -1),
        fc.dictionary(fc.constantFrom('a', 'b', 'a.b', 'a.0', 'a.length'), fc.constantFrom<1 | -1>(1, -1), {
          minKeys: 1,
          maxKeys: 2,
          noNullPrototype: true,
        }),
      ),
      position: fc.integer({ min: -2, max: 4 }),
    },
    { requiredKeys: [] },
  )
  .map(modifiers => modifiers as PushModifiers)

const operators = [
  ...(['$set', '$unset', '$rename', '$inc', '$mul', '$min', '$max', '$currentDate'] as const),
  ...(['$push', '$addToSet', '$pop', '$pull', '$pullAll'] as const),
]

/** One operation, most often of an operator on a value that it takes. */
export function someOperation(fields: Fields): fc.Arbitrary<Operation> {
  return fc.constantFrom(...operators).chain(op => operationOf(op, fields))
}

function operationOf(op: Operation['op'], fields: Fields): fc.Arbitrary<Operation> {
  switch (op) {
    case '$set':
    case '$min':
    case '$max':
      return pathIn(fields, isAnything).chain(path => valueLike(fields, path).map(arg => ({ op, path, arg })))
    case '$unset':
    case '$currentDate':
      return pathIn(fields, isAnything).map(path => ({ op, path }))
    case '$rename':
      return fc
        .tuple(pathIn(fields, isAnything), pathIn(fields, isAnything))
        .filter(([path, to]) => !overlap(path, to))
        .map(([path, to]) => ({ op, path, to }))
    case '$inc':
    case '$mul':
      return fc.tuple(pathIn(fields, isNumeric), someNumber).map(([path, arg]) => ({ op, path, arg }))
    case '$push':
      return pathIn(fields, Array.isArray).chain(path =>
        fc
          .tuple(fc.array(valueLike(fields, path), { maxLength: 3 }), someModifiers)
          .map(([arg, modifiers]) => ({ op, path, arg, modifiers })),
      )
    case '$addToSet':
    case '$pullAll':
      return pathIn(fields, Array.isArray).chain(path =>
        listOf(valueLike(fields, path)).map(arg => ({ op, path, arg })),
      )
    case '$pop':
      return fc
        .tuple(pathIn(fields, Array.isArray), fc.constantFrom<1 | -1>(1, -1))
        .map(([path, arg]) => ({ op, path, arg }))
    case '$pull':
      return pathIn(fields, Array.isArray).chain(path =>
        fc.oneof(
          fc
            .constantFrom(...comparators)
            .chain(comparator =>
              argFor(comparator, fields, path).map(arg => ({ op, path, comparator, arg })),
            ),
          somePullByField(fields, path),
        ),
      )
  }
}

function somePullByField(fields: Fields, path: Path): fc.Arbitrary<Operation> {
  const value = valueAt(fields, path)
  const elements = (Array.isArray(value) ? value : []).filter(isPlain)
  const among: Fields = elements.length > 0 ? { ...elements[0], ...elements.at(-1) } : {}
  return fc
    .tuple(pathIn(among, isAnything), fc.constantFrom<Comparator>(...comparators, 'exists'))
    .chain(([field, comparator]) =>
      argFor(comparator, among, field).map(arg => ({ op: '$pull', path, field, comparator, arg }) as const),
    )
}

/** A change as a chain of commands makes it: its operations touch independent paths. */
export function someChange(fields: Fields): fc.Arbitrary<Change> {
  return fc
    .record({
      guards: fc.oneof(
        { weight: 3, arbitrary: fc.constant<Guard[]>([]) },
        { weight: 2, arbitrary: fc.array(someGuard(fields), { minLength: 1, maxLength: 2 }) },
      ),
      operations: fc.array(someOperation(fields), { minLength: 1, maxLength: 4 }),
    })
    .map(({ guards, operations }) => ({ guards, operations: independent(operations) }))
}

/** Stored fields and a change to them. */
export const someCase: fc.Arbitrary<{ fields: Fields; change: Change }> = someFields.chain(fields =>
  someChange(fields).map(change => ({ fields, change })),
)

const simpleNames = ['a', 'b', 'c', 'd', 'ü', '😀']

/** Where kinds of numbers end, and digits are lost. */
const someEdge: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(...int32s, ...doubles, ...longs),
  fc.constantFrom(2 ** 31 - 1, -(2 ** 31), 2 ** 53 - 1, 2 ** 53, -(2 ** 53), -0, 0, 1e308, -1e308, 5e-324),
  fc.constantFrom(...longs).map(Long.fromBigInt),
  fc
    .constantFrom(...decimals, '9.999999999999999999999999999999999E+6144', '1E-6176')
    .map(Decimal128.fromString),
)

const someSimpleValue = fc.oneof(
  { weight: 4, arbitrary: someEdge },
  { weight: 1, arbitrary: fc.constantFrom(null, true, false, '', 'a', 'a\0b', '😀') },
)

/** The fields of a session that a simple change mostly suits: scalars, and now and then an array or an object. */
export const someSimpleFields: fc.Arbitrary<Fields> = fc.dictionary(
  fc.constantFrom(...simpleNames),
  fc.oneof(
    { weight: 8, arbitrary: someSimpleValue },
    { weight: 1, arbitrary: someStoredDouble },
    { weight: 1, arbitrary: fc.constantFrom<unknown>([], [1, 2], { a: 1 }) },
  ),
  { maxKeys: 6, noNullPrototype: true },
)

const someSimpleOperation: fc.Arbitrary<Operation> = fc
  .tuple(fc.constantFrom(...simpleNames), fc.constantFrom('$set', '$unset', '$inc'))
  .chain(([path, op]) => {
    if (op === '$unset') return fc.constant<Operation>({ op, path })
    if (op === '$inc') return someEdge.map((arg): Operation => ({ op, path, arg }))
    return someSimpleValue.map((arg): Operation => ({ op: '$set', path, arg }))
  })

const someSimpleGuard: fc.Arbitrary<Guard> = fc
  .tuple(
    fc.constantFrom(...simpleNames),
    fc.constantFrom<Comparator>('=', '!=', '<', '<=', '>', '>=', 'exists'),
  )
  .chain(([path, comparator]) =>
    (comparator === 'exists' ? fc.boolean() : someSimpleValue).map(arg => ({ path, comparator, arg })),
  )

/**
 * A change such as a server can apply in one step of its own: top-level fields set, removed and added to, guarded by top-level
 * fields, with the numbers at which that goes wrong.
 */
export const someSimpleChange: fc.Arbitrary<Change> = fc
  .record({
    guards: fc.oneof(
      { weight: 3, arbitrary: fc.constant<Guard[]>([]) },
      { weight: 1, arbitrary: fc.array(someSimpleGuard, { minLength: 1, maxLength: 2 }) },
    ),
    operations: fc.array(someSimpleOperation, { minLength: 1, maxLength: 4 }),
  })
  .map(({ guards, operations }) => ({ guards, operations: independent(operations) }))

/** Stored fields and a simple change to them. */
export const someSimpleCase: fc.Arbitrary<{ fields: Fields; change: Change }> = fc.record({
  fields: someSimpleFields,
  change: someSimpleChange,
})

function independent(operations: readonly Operation[]): Operation[] {
  const taken: Path[] = []
  return operations.filter(operation => {
    const paths = operation.op === '$rename' ? [operation.path, operation.to] : [operation.path]
    if (paths.some(path => taken.some(other => overlap(path, other)))) return false
    taken.push(...paths)
    return true
  })
}
