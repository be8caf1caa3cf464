import { existsSync } from 'node:fs'
import { folder } from '../built.ts'
import { bareKoa, handWritten, koaWithDriver } from './by-hand.ts'
import type { Contender } from './contender.ts'
import { memory, mongodb, sqlite } from './ours.ts'
import { expressWithConnectMongo, fastifySession, koaGenericSession, koaSession } from './peers.ts'

/** Each is an app of its own, in a process of its own. */
export const contenders: Readonly<Record<string, Contender>> = {
  'bare Koa': bareKoa,
  'Koa, driver connected': koaWithDriver,
  'by hand': handWritten,
  'ours (MongoDB)': mongodb,
  ...(existsSync(new URL('stores/sqlite/store.js', folder)) && { 'ours (SQLite)': sqlite }),
  'ours (memory)': memory,
  'koa-session': koaSession,
  'koa-generic-session': koaGenericSession,
  'express-session': expressWithConnectMongo,
  '@fastify/session': fastifySession,
}
