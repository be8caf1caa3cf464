import { describe } from 'node:test'
import { storeContract } from '../../contract/index.ts'
import {
  aPgPool,
  aPostgresSql,
  emptied,
  theFile,
  thePgBouncer,
  withoutPgBouncer,
  withoutPostgreSQL,
} from '../../support/postgres/database.ts'

describe('through pg', { skip: withoutPostgreSQL }, () =>
  storeContract(emptied(async () => ({ pool: await aPgPool(theFile) }))),
)

describe('through postgres', { skip: withoutPostgreSQL }, () =>
  storeContract(emptied(async () => ({ pool: await aPostgresSql(theFile) }))),
)

describe('through pg and PgBouncer', { skip: withoutPgBouncer }, () =>
  storeContract(emptied(async () => ({ pool: await aPgPool(theFile, {}, (await thePgBouncer()).uri) }))),
)

describe('through postgres and PgBouncer', { skip: withoutPgBouncer }, () =>
  storeContract(emptied(async () => ({ pool: await aPostgresSql(theFile, {}, (await thePgBouncer()).uri) }))),
)
