import { acts } from '../acts.ts'
import { type Contender, koaOf, untouched } from './contender.ts'
import { memory, sqlite } from './inside.ts'
import { koaWithDriver, mongodb } from './mongodb.ts'
import { postgres } from './postgres.ts'
import { redis } from './redis.ts'

const bareKoa: Contender = {
  lacks: acts.filter(act => act !== 'untouched'),
  start: async () => koaOf({ untouched, seed: untouched }),
}

/** Each is an app of its own, in a process of its own: by the store's name, and then `name (store)`. */
export const contenders: Readonly<Record<string, Contender>> = {
  'bare Koa': bareKoa,
  'Koa, driver connected': koaWithDriver,
  ...of('MongoDB', mongodb),
  ...of('Redis', redis),
  ...of('PostgreSQL', postgres),
  ...of('SQLite', sqlite),
  ...of('memory', memory),
}

function of(store: string, those: Readonly<Record<string, Contender>>): Record<string, Contender> {
  return Object.fromEntries(Object.entries(those).map(([name, one]) => [`${name} (${store})`, one]))
}
