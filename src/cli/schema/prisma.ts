import type { SchemaOptions } from '../../stores/postgres/store.ts'
import { pascal } from './words.ts'

/** What Prisma is told of the tables. */
export function prismaSchema({ schema = 'public', table = 'sessions', user }: SchemaOptions): string {
  const name = pascal(table)
  const isElsewhere = schema !== 'public'
  const within = isElsewhere ? `\n  @@schema(${JSON.stringify(schema)})` : ''
  const advice = isElsewhere
    ? `// The datasource needs schemas = ["public", ${JSON.stringify(schema)}].\n`
    : ''
  const mapped = (suffix: string) => JSON.stringify(`${table}${suffix}`)
  const byUser = user === undefined ? '' : `\n  @@index([userKey], map: ${mapped('_user')})`
  return `// The tables of koa-atomic-session, so that Prisma knows them and leaves them alone. Prisma cannot say all that makes them:
// in the migration of \`prisma migrate dev --create-only\`, put the SQL of \`npx koa-atomic-session schema sql\` in place of their
// CREATE statements.
${advice}
model ${name} {
  id       String         @id
  created  DateTime       @db.Timestamptz(6)
  expires  DateTime       @db.Timestamptz(6)
  absolute DateTime?      @db.Timestamptz(6)
  maxAge   BigInt         @map("max_age")
  rev      BigInt
  size     BigInt
  ended    DateTime?      @db.Timestamptz(6)
  next     String?
  userKey  String?        @map("user_key")
  sweepAt  DateTime       @map("sweep_at") @db.Timestamptz(6)
  small    Json
  large    Json
  fields   ${name}Fields[]

  @@index([sweepAt], map: ${mapped('_sweep_at')})${byUser}
  @@map(${mapped('')})${within}
}

model ${name}Fields {
  id      String
  name    String
  v       Bytes
  session ${name} @relation(fields: [id], references: [id], onDelete: Cascade, onUpdate: NoAction)

  @@id([id, name])
  @@map(${mapped('_fields')})${within}
}

model ${name}Meta {
  one      Boolean @id @default(true)
  version  Int
  userPath String? @map("user_path")

  @@map(${mapped('_meta')})${within}
}
`
}
