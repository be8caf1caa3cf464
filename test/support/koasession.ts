import Keygrip from 'keygrip'
import { KEY } from './app.ts'

/** The cookies of a visitor of koa-session, as it would have signed them. */
export function koaCookies(value: string, key = 'koa.sess', by = KEY): [name: string, value: string][] {
  return [
    [key, value],
    [`${key}.sig`, new Keygrip([by]).sign(`${key}=${value}`)],
  ]
}

/** What is in the cookie where koa-session has no store. */
export function base64(data: unknown): string {
  return Buffer.from(JSON.stringify(data)).toString('base64')
}

/** A store as koa-session takes it, which is the test's to look into. */
export function aKoaSessionStore(held: Record<string, object> = {}) {
  const records = new Map(Object.entries(held))
  return {
    records,
    get: async (key: string) => records.get(key),
    set: async (key: string, data: object) => void records.set(key, data),
    destroy: async (key: string) => void records.delete(key),
  }
}
