import { readFileSync } from 'node:fs'
import type { ShopMiddleware } from './session.ts'

/** In this order: the later ones go by what the earlier ones set. */
export const stylesheets = ['base.css', 'frame.css', 'shop.css', 'race.css', 'home.css']

/** What the pages need beside themselves: these files, so there is no path that a visitor could lead elsewhere. */
const files = new Map(
  [...stylesheets, 'script.js', 'icon.svg'].map(name => [
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
