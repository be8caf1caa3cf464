import { type SchemaOptions, schemaOf } from '../../stores/postgres/store.ts'
import { repeated, UsageError } from '../usage.ts'
import { drizzleSchema } from './drizzle.ts'
import { prismaSchema } from './prisma.ts'

/** PostgreSQL's tables as SQL, which makes them, or as Drizzle and Prisma know them. */
export function schema(form: string, options: SchemaOptions = {}): string {
  // Refuses names that PostgreSQL would not take.
  const sql = schemaOf(options)
  switch (form) {
    case 'sql':
      return sql
    case 'drizzle':
      return drizzleSchema(options)
    case 'prisma':
      return prismaSchema(options)
    default:
      throw new UsageError(
        `There is no ${repeated(form, 'such schema', `schema for "${form}"`)}: give sql, drizzle or prisma`,
      )
  }
}
