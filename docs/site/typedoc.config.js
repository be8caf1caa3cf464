import { readFileSync } from 'node:fs'
import { Converter, ReflectionKind } from 'typedoc'

// The API reference, as Markdown beside the other pages, so that the site's search finds it too.

const { name, exports } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** What users import, by the declarations of it: `koa-atomic-session/memory`. */
const entries = Object.entries(exports).flatMap(([path, { types }]) =>
  types ? [{ file: types.replace('./', '../../'), module: path.replace('.', name) }] : [],
)

/** typedoc calls a module after its file, and the default export after its other name. */
function namedAsImported(app) {
  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
    if (reflection.name === 'module.exports') reflection.name = 'Session'
    if (!reflection.kindOf(ReflectionKind.Module)) return
    const { fileName } = context.getSymbolFromReflection(reflection)?.declarations?.[0]?.getSourceFile() ?? {}
    const entry = entries.find(({ file }) => fileName?.endsWith(file.replace('../..', '')))
    if (entry) reflection.name = entry.module
  })
}

export default {
  name: 'API',
  entryPoints: entries.map(({ file }) => file),
  plugin: ['typedoc-plugin-markdown', namedAsImported],
  tsconfig: 'tsconfig.json',
  out: 'api',
  readme: 'none',
  disableSources: true,
  excludeExternals: true,
  excludeInternal: true,
  excludePrivate: true,
  skipErrorChecking: true,
  // Types that only the compiler needs are not exported.
  validation: { notExported: false },
  // Of the plugin for Markdown.
  entryFileName: 'index',
  hidePageHeader: true,
  hideBreadcrumbs: true,
  parametersFormat: 'table',
  interfacePropertiesFormat: 'table',
  typeAliasPropertiesFormat: 'table',
}
