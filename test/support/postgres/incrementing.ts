import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import connectPgSimple from 'connect-pg-simple'
import express from 'express'
import expressSession from 'express-session'
import Koa from 'koa'
import { Pool } from 'pg'
import Session from '../../../src/index.ts'
import { postgresStore } from '../../../src/stores/postgres/store.ts'
import { unhurried } from '../unhurried.ts'

// One process of two apps that count in a session, ours and one of express-session with connect-pg-simple: says where they
// answer, and ends with its parent.

const [uri = '', table = ''] = process.argv.slice(2)
const pool = new Pool({ connectionString: uri, max: 5 })
pool.on('error', error => console.error(error))

const koa = new Koa()
koa.keys = ['the same long key for every process of the app']
Session(koa, { store: postgresStore({ pool, table }) })
koa.use(async ctx => {
  if (ctx.path === '/count') await ctx.session.inc('n')
  ctx.body = { n: await ctx.session.get('n') }
})

const PgSession = connectPgSimple(expressSession)
const ordinary = express()
ordinary.use(
  expressSession({
    store: new PgSession({
      pool,
      tableName: `${table}_ordinary`,
      createTableIfMissing: false,
      pruneSessionInterval: false,
    }),
    secret: 'the same for every process',
    resave: false,
    saveUninitialized: false,
  }),
)
ordinary.get('/count', (request, response) => {
  const session = request.session as { n?: number }
  session.n = (session.n ?? 0) + 1
  response.json({ n: session.n })
})
ordinary.get('/', (request, response) => {
  response.json({ n: (request.session as { n?: number }).n })
})

const servers = [createServer(unhurried, koa.callback()), createServer(unhurried, ordinary)]
for (const server of servers) await once(server.listen(0, '127.0.0.1'), 'listening')
process.once('disconnect', () => process.exit())
process.send?.(servers.map(server => `http://127.0.0.1:${(server.address() as AddressInfo).port}`).join(' '))
