import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript-5.6'

/**
 * What the package exports, as its built declarations say it: the names of each path of `exports`, and then each declaration that
 * these reach, sorted, a line for each, without comments.
 */
export function apiOf(root: string): string {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, { readonly types?: string } | string>
  }
  const entries = Object.entries(exports).flatMap(([path, target]) =>
    typeof target === 'object' && target.types ? [{ path, file: join(root, target.types) }] : [],
  )
  const program = ts.createProgram(
    entries.map(({ file }) => file),
    {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      strict: true,
      noEmit: true,
    },
  )
  const isOurs = (node: ts.Node) => node.getSourceFile().fileName.startsWith(join(root, 'dist'))
  const checker = program.getTypeChecker()
  const reached = new Set<ts.Symbol>()
  const lines: string[] = []
  for (const { path, file } of entries) {
    const source = program.getSourceFile(file)
    const module = source && checker.getSymbolAtLocation(source)
    if (!module) throw new Error(`${path} has no declarations: build first`)
    const exported = checker.getExportsOfModule(module)
    lines.push(
      `${path}: ${exported
        .map(({ name }) => name)
        .sort()
        .join(', ')}`,
    )
    for (const symbol of exported) reach(symbol)
  }

  function reach(symbol: ts.Symbol): void {
    const own = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    const declared = (own.declarations ?? []).filter(isOurs)
    if (reached.has(own) || declared.length === 0) return
    reached.add(own)
    for (const node of declared) {
      // Of a constant, the whole statement has its type.
      const whole = ts.isVariableDeclaration(node) ? node.parent.parent : node
      if (isStatement(whole)) lines.push(printed(whole))
      whole.forEachChild(function visit(child): void {
        if (ts.isIdentifier(child)) {
          const named = checker.getSymbolAtLocation(child)
          if (named) reach(named)
        }
        child.forEachChild(visit)
      })
    }
  }

  return `${[...new Set(lines)].sort().join('\n')}\n`
}

function isStatement(node: ts.Node): boolean {
  if (ts.isSourceFile(node)) return false
  return ts.isSourceFile(node.parent) || (ts.isModuleBlock(node.parent) && !ts.isVariableDeclaration(node))
}

const printer = ts.createPrinter({ removeComments: true })

function printed(node: ts.Node): string {
  return printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile()).replace(/\s+/g, ' ')
}
