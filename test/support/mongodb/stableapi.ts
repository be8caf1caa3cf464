import assert from 'node:assert/strict'
import type { Document } from 'mongodb'
import type { SentCommand } from './collection.ts'

// What the Stable API's version 1 has of what the library sends: the server's own definitions, of MongoDB 5.0, in
// src/mongo/db/**/*.idl ("api_version" and "stability"), and for operators where they are registered.

const OF_ANY = ['$db', '$readPreference', '$clusterTime', 'lsid', 'txnNumber', 'readConcern', 'writeConcern']
const OF_VERSION = ['apiVersion', 'apiStrict', 'apiDeprecationErrors']

const commands: Record<string, readonly string[]> = {
  aggregate: ['pipeline', 'cursor'],
  createIndexes: ['indexes'],
  delete: ['deletes', 'ordered'],
  drop: [],
  dropIndexes: ['index'],
  find: ['filter', 'projection', 'limit', 'singleBatch', 'batchSize'],
  findAndModify: ['query', 'update', 'fields', 'new', 'remove', 'upsert'],
  getMore: ['collection', 'batchSize'],
  insert: ['documents', 'ordered'],
  listIndexes: ['cursor'],
  update: ['updates', 'ordered'],
}

/** Of what stands in a command's list. */
const parts: Record<string, readonly string[]> = {
  deletes: ['q', 'limit'],
  indexes: ['key', 'name', 'expireAfterSeconds', 'partialFilterExpression', 'unique', 'hidden'],
  updates: ['q', 'u', 'multi', 'upsert'],
}

const operators = new Set([
  ...['$eq', '$ne', '$lt', '$lte', '$gt', '$gte', '$in', '$exists', '$type', '$size', '$elemMatch'],
  ...['$and', '$or', '$not', '$expr', '$bsonSize'],
  ...['$set', '$unset', '$rename', '$inc', '$mul', '$min', '$max', '$currentDate'],
  ...['$push', '$addToSet', '$pop', '$pull', '$pullAll', '$each', '$slice', '$sort', '$position'],
  ...['$facet', '$limit', '$match', '$group', '$sum', '$project'],
])

export function assertStable({ name, command }: SentCommand): void {
  const own = commands[name]
  assert.ok(own, `${name} is no command of the Stable API`)
  const known = [name, ...own, ...OF_ANY, ...OF_VERSION]
  for (const [option, given] of Object.entries(command)) {
    const value = encoded(given)
    if (value === undefined) continue
    assert.ok(known.includes(option), `${name} has no option ${option} in the Stable API`)
    if (name === 'insert' || OF_ANY.includes(option)) continue
    for (const part of parts[option] ? (value as Document[]) : []) {
      for (const key of Object.keys(part)) {
        assert.ok(parts[option]?.includes(key), `${name} has no ${option}.${key} in the Stable API`)
      }
    }
    for (const operator of operatorsIn(value)) {
      assert.ok(operators.has(operator), `${operator} is no operator of the Stable API`)
    }
  }
}

function operatorsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null || '_bsontype' in value) return []
  return Object.entries(value).flatMap(([key, member]) => [
    ...(key.startsWith('$') ? [key] : []),
    ...operatorsIn(encoded(member)),
  ])
}

/** What of a command's member is sent. */
function encoded(value: unknown): unknown {
  const isEncodedOtherwise =
    typeof value === 'object' && value !== null && 'toBSON' in value && typeof value.toBSON === 'function'
  return isEncodedOtherwise ? (value as { toBSON(): unknown }).toBSON() : value
}
