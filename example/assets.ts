import { readFileSync } from 'node:fs'
import type { ShopMiddleware } from './session.ts'

/** What the pages need beside themselves: three files, so there is no path that a visitor could lead elsewhere. */
const files = new Map(
  ['style.css', 'script.js', 'icon.svg'].map(name => [
    `/${name}`,
    { name, content: readFileSync(new URL(`browser/${name}`, import.meta.url)) },
  ]),
)

export const assets: ShopMiddleware = async (ctx, next) => {
  const file = files.get(ctx.path)
  if (!file) return void (await next())
  ctx.set('Cache-Control', 'no-cache')
  ctx.type = file.name
  ctx.body = file.content
}
