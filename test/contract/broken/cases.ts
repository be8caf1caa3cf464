import { CommandError } from '../../../src/errors.ts'
import type { SessionId } from '../../../src/ids.ts'
import type { Guard, Operation } from '../../../src/language/change.ts'
import { holds } from '../../../src/language/guard.ts'
import { type Fields, isPlain } from '../../../src/language/values.ts'
import type { SessionRecord } from '../../../src/store/record.ts'
import type { Store } from '../../../src/store/store.ts'
import { type BrokenStore, broken, decision, livingRecord, refusal, result, updating } from './breaking.ts'

type Broken = (sound: Store) => Partial<Store>

/** Each operation is another one. */
function operating(other: (operation: Operation) => Operation): Broken {
  return updating((sound, id, change, answer) =>
    sound.update(id, { ...change, operations: change.operations.map(other) }, answer),
  )
}

/** Only some guards are asked. */
function guarding(isAsked: (guard: Guard, index: number) => boolean): Broken {
  return updating((sound, id, change, answer) =>
    sound.update(id, { ...change, guards: change.guards.filter(isAsked) }, answer),
  )
}

/** Guards that equal a value such as this never hold. */
function neverEqual(isSuch: (value: unknown) => boolean): Broken {
  return updating(async (sound, id, change, answer) => {
    const isNever = change.guards.some(({ comparator, arg }) => comparator === '=' && isSuch(arg))
    return isNever && (await livingRecord(sound, id)) ? 'refused' : sound.update(id, change, answer)
  })
}

/** The names of fields are others: in records, in changes and in what is read. */
function naming(other: (name: string) => string): Broken {
  const pathOf = (path: string) => path.split('.').map(other).join('.')
  return sound => ({
    insert: ({ fields, ...record }) => sound.insert({ ...record, fields: named(fields, other) }),
    read: (id, paths) => sound.read(id, paths.map(pathOf)),
    update: (id, { operations, ...change }, answer) => {
      const renamed = operations.map(operation => ({ ...operation, path: pathOf(operation.path) }))
      const asked = answer && { ...answer, paths: answer.paths.map(pathOf) }
      return sound.update(id, { ...change, operations: renamed }, asked)
    },
  })
}

function named(fields: Fields, other: (name: string) => string): Fields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [other(name), value]))
}

/** A push without some of what it is told. */
function pushing(without: (modifiers: Extract<Operation, { op: '$push' }>['modifiers']) => object): Broken {
  return operating(operation =>
    operation.op === '$push'
      ? { ...operation, modifiers: { ...operation.modifiers, ...without(operation.modifiers) } }
      : operation,
  )
}

/** Its index takes no notice of such operations. */
function overlooking(isOverlooked: (operation: Operation) => boolean): Broken {
  return sound => {
    const overlooked = new Set<SessionId>()
    return {
      update(id, change, answer) {
        if (change.operations.some(isOverlooked)) overlooked.add(id)
        return sound.update(id, change, answer)
      },
      async *find(path, value) {
        for await (const record of sound.find?.(path, value) ?? []) {
          if (!overlooked.has(record.id)) yield record
        }
      },
    }
  }
}

const isOfType = (type: string) => (value: unknown) =>
  typeof value === 'object' && value !== null && '_bsontype' in value && value._bsontype === type

/** Stores that are wrong in some cases only: for some values, and beyond some number of them. */
export const brokenInCases: BrokenStore[] = [
  broken(
    'it finds a session by a user that it once had',
    'finding',
    'a session is found by the user that it has now, not by an earlier one: user, set',
    sound => {
      const inserted: SessionRecord[] = []
      return {
        async insert(record) {
          await sound.insert(record)
          inserted.push(record)
        },
        async *find(path, value) {
          for (const { id, fields } of inserted) {
            const record = await livingRecord(sound, id)
            if (!record) continue
            const guards: Guard[] = [{ path, comparator: '=', arg: value }]
            if (holds(guards, fields) || holds(guards, record.fields)) yield record
          }
        },
      }
    },
  ),
  broken(
    'its index takes no notice of a renamed user',
    'finding',
    'a session is found by the user that it has now, not by an earlier one: user, rename of another',
    overlooking(({ op }) => op === '$rename'),
  ),
  broken(
    'its index takes no notice of the object above the user',
    'finding',
    'a session is found by the user that it has now, not by an earlier one: a.user, set of the object above it',
    overlooking(({ path }) => path === 'a'),
  ),
  broken(
    'another lifetime drops the absolute limit',
    'expiry',
    'an absolute limit stays whatever a change does to the lifetime',
    updating(async (sound, id, change, answer) => {
      const outcome = await sound.update(id, change, answer)
      const record = change.maxAge === undefined ? undefined : await livingRecord(sound, id)
      if (!record) return outcome
      const { absolute: _, ...rest } = record
      await sound.delete(id)
      await sound.insert(rest)
      return outcome
    }),
  ),
  broken(
    'it does not extend where it answers',
    'expiry',
    'extending a session works as well where the change is answered',
    updating((sound, id, change, answer) => {
      const { expires: _, ...rest } = change
      return sound.update(id, answer && change.whileMaxAge !== undefined ? rest : change, answer)
    }),
  ),
  broken(
    'a revision that fits switches the guards off',
    'guards',
    'a change for one revision is refused there too if its guard does not hold',
    updating((sound, id, change, answer) =>
      sound.update(id, change.rev === undefined ? change : { ...change, guards: [] }, answer),
    ),
  ),
  broken(
    'a guard switches the limit of the size off',
    'size',
    'neither guards that hold nor a revision that fits make a session larger than it may be',
    updating((sound, id, { maxSize, ...change }, answer) =>
      sound.update(
        id,
        change.guards.length > 0 || maxSize === undefined ? change : { ...change, maxSize },
        answer,
      ),
    ),
  ),
  broken(
    'it measures only text',
    'size',
    'a session may become as large as it may be, to the byte',
    updating((sound, id, { maxSize, ...change }, answer) => {
      const isText = JSON.stringify(
        change.operations.map(operation => 'arg' in operation && operation.arg),
      ).includes('"')
      return sound.update(id, isText && maxSize !== undefined ? { ...change, maxSize } : change, answer)
    }),
  ),
  broken(
    'it applies fifty operations of a change',
    'changing',
    'every operation of a change is applied, however many it has',
    updating((sound, id, change, answer) =>
      sound.update(id, { ...change, operations: change.operations.slice(0, 50) }, answer),
    ),
  ),
  broken('it reads fifty fields', 'reading', 'every field asked for is read, however many are', sound => ({
    read: (id, paths) => sound.read(id, paths.slice(0, 50)),
  })),
  broken(
    'it answers with fifty fields',
    'reading',
    'every field asked for is read, however many are',
    updating((sound, id, change, answer) =>
      sound.update(id, change, answer && { ...answer, paths: answer.paths.slice(0, 50) }),
    ),
  ),
  broken(
    'it asks five guards of a change',
    'guards',
    'every guard of a change counts, however many it has',
    guarding((_, index) => index < 5),
  ),
  broken(
    'it cuts the names of fields',
    'changing',
    'fields whose names are long, or differ in case, are different fields',
    naming(name => name.slice(0, 64)),
  ),
  broken(
    'it takes names of fields in any case',
    'changing',
    'fields whose names are long, or differ in case, are different fields',
    naming(name => name.toLowerCase()),
  ),
  broken(
    'no date equals a date',
    'guards',
    decision('since = 1970'),
    neverEqual(value => value instanceof Date),
  ),
  broken(
    'it does not compare dates',
    'guards',
    decision('since < 1970'),
    guarding(({ arg }) => !(arg instanceof Date)),
  ),
  broken(
    'no ObjectId equals an ObjectId',
    'guards',
    decision('key = new ObjectId('),
    neverEqual(isOfType('ObjectId')),
  ),
  broken(
    'no Decimal128 equals a Decimal128',
    'guards',
    decision('price = '),
    neverEqual(isOfType('Decimal128')),
  ),
  broken(
    'no bytes equal bytes',
    'guards',
    decision('bytes = Uint8Array'),
    neverEqual(value => value instanceof Uint8Array),
  ),
  broken(
    'every object equals an object',
    'guards',
    decision("user = { level: 2, role: 'admin' }"),
    guarding(({ comparator, arg }) => comparator !== '=' || !isPlain(arg)),
  ),
  broken(
    'null is in no list of a guard',
    'guards',
    decision('missing in [ 1, null ]'),
    updating((sound, id, change, answer) => {
      const guards = change.guards.map(guard =>
        guard.comparator === 'in'
          ? { ...guard, arg: (guard.arg as unknown[]).filter(one => one !== null) }
          : guard,
      )
      return sound.update(id, { ...change, guards }, answer)
    }),
  ),
  broken(
    'it keeps all where none is to be kept',
    'changing',
    result('push that keeps none'),
    pushing(({ slice }) => (slice === 0 ? { slice: undefined } : {})),
  ),
  broken(
    'it pushes at an end only',
    'changing',
    result('push after the first'),
    pushing(({ position = 0 }) => (position > 0 ? { position: undefined } : {})),
  ),
  broken(
    'it counts no position from the end',
    'changing',
    result('push before the last'),
    pushing(({ position = 0 }) => (position < 0 ? { position: undefined } : {})),
  ),
  broken(
    'it sorts objects only',
    'changing',
    result('push that sorts plain values'),
    pushing(({ sort }) => (typeof sort === 'number' ? { sort: undefined } : {})),
  ),
  ...(['$min', '$max'] as const).map(op =>
    broken(
      `it applies no ${op} across types`,
      'changing',
      result(`${op.slice(1)} across types`),
      updating(async (sound, id, change, answer) => {
        const record = await livingRecord(sound, id)
        const isSound = (operation: Operation) =>
          operation.op !== op || typeof operation.arg === typeof record?.fields[operation.path]
        return sound.update(id, { ...change, operations: change.operations.filter(isSound) }, answer)
      }),
    ),
  ),
  broken(
    'it wraps at 64 bits',
    'changing',
    refusal('inc beyond 64 bits'),
    updating(async (sound, id, change, answer) => {
      try {
        return await sound.update(id, change, answer)
      } catch (error) {
        if (!(error instanceof CommandError) || !error.message.includes('64 bits')) throw error
        const operations = change.operations.map(
          ({ path }) => ({ op: '$set', path, arg: -(2n ** 63n) }) as const,
        )
        return sound.update(id, { ...change, operations }, answer)
      }
    }),
  ),
  broken(
    'objects in a set are equal whatever the order of their keys',
    'changing',
    result('addToSet of objects, which differ by the order of their keys'),
    operating(operation =>
      operation.op === '$addToSet' ? { ...operation, arg: operation.arg.map(sorted) } : operation,
    ),
  ),
  broken(
    'it pulls no bigint',
    'changing',
    result('pullAll of a bigint'),
    operating(operation =>
      operation.op === '$pullAll'
        ? { ...operation, arg: operation.arg.filter(one => typeof one !== 'bigint') }
        : operation,
    ),
  ),
]

function sorted(value: unknown): unknown {
  return isPlain(value)
    ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    : value
}
