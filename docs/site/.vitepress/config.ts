import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Rollup } from 'vite'
import { type DefaultTheme, defineConfig, type MarkdownOptions } from 'vitepress'

type Markdown = Parameters<NonNullable<MarkdownOptions['config']>>[0]

// The pages are where GitHub shows them: in docs/, and beside it. On the site docs/ is the root.

const root = fileURLToPath(new URL('../../../', import.meta.url))
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))

/** Of a file that is no page of the site; `undefined` while package.json names no repository. */
function atRepository(file: string): string | undefined {
  const { url } = manifest.repository ?? {}
  return url && `${url.replace(/^git\+/, '').replace(/\.git$/, '')}/blob/main/${file}`
}

/** A page's path on the site, by its path in the repository. */
function onSite(file: string): string {
  return file.replace(/^docs\/(?:site\/)?/, '')
}

/** As GitHub makes anchors of headings, so that a link works in both places. */
function slugify(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\- _]/gu, '')
    .replaceAll(' ', '-')
}

/** Links are written as they work in the repository. */
function linksOfRepository(md: Markdown): void {
  md.core.ruler.push('links of the repository', ({ tokens, env }) => {
    const from = posix.dirname((env.realPath ?? env.path).slice(root.length))
    for (const link of tokens.flatMap(({ children }) => children ?? [])) {
      const href = link.attrGet('href')
      if (link.type !== 'link_open' || href === null || /^(?:[a-z]+:|#|\/)/.test(href)) continue
      const [path = '', ...anchor] = href.split('#')
      const file = posix.join(from, path)
      if (file.endsWith('.md')) link.attrSet('href', `/${[onSite(file), ...anchor].join('#')}`)
      else link.attrSet('href', atRepository(file) ?? '#')
    }
  })
}

/** docs/index.md is the list of all pages, by headings. */
function sidebar(): DefaultTheme.SidebarItem[] {
  const [, ...groups] = readFileSync(`${root}docs/index.md`, 'utf8').split(/^## /m)
  return groups.map(group => ({
    text: group.slice(0, group.indexOf('\n')),
    items: Array.from(group.matchAll(/\[(.+?)\]\((.+?)\)/g), ([, text = '', file = '']) => ({
      text: text.replaceAll('`', ''),
      link: `/${onSite(posix.join('docs', file))}`,
    })),
  }))
}

/** Pages are not below this folder, and would not find what they are compiled to import. */
const packagesOfSite = {
  name: 'packages of the site',
  enforce: 'pre' as const,
  resolveId(this: Rollup.PluginContext, id: string, importer: string | undefined, options: object) {
    if (!/^vue(?:\/|$)/.test(id) || !importer?.includes('.md')) return null
    return this.resolve(id, import.meta.filename, { ...options, skipSelf: true })
  },
}

export default defineConfig({
  title: manifest.name,
  description: manifest.description,
  base: process.env.SITE_BASE ?? '/',
  // None, rather than one that is asked for and not there.
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  srcDir: '../..',
  srcExclude: ['README.md', '{.ci,.github,bench,example,src,test}/**'],
  ignoreDeadLinks: 'localhostLinks',
  outDir: '.vitepress/dist',
  cacheDir: '.vitepress/cache',
  rewrites: onSite,
  // What the search knows comes in one piece.
  vite: { publicDir: false, plugins: [packagesOfSite], build: { chunkSizeWarningLimit: 4096 } },
  markdown: { anchor: { slugify }, config: linksOfRepository },
  themeConfig: {
    search: {
      provider: 'local',
      // A page that was written for readers comes before one that was generated.
      options: {
        miniSearch: { searchOptions: { boostDocument: id => (String(id).startsWith('/api/') ? 0.2 : 1) } },
      },
    },
    outline: [2, 3],
    nav: [
      { text: 'Start', link: '/start' },
      { text: 'API', link: '/api/' },
      { text: 'Changelog', link: '/CHANGELOG' },
    ],
    sidebar: [...sidebar(), { text: 'API', items: [{ text: 'All exports', link: '/api/' }] }],
  },
})
