import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Folder, run } from './folder.ts'
import { compilers } from './pairs.ts'

/** Of a pair. Each returns what was printed where it failed, and nothing where all is well. */
export const checks: Record<string, (folder: Folder) => Promise<string>> = {
  require: ({ path, node }) => printedBy(node, ['test/versions/consumer/program.cjs'], path),
  types,
  Jest: ({ path, node }) =>
    printedBy(
      node,
      ['node_modules/jest/bin/jest.js', '--config', 'test/versions/consumer/jest/jest.config.cjs'],
      path,
    ),
}

const resolutions = [
  { module: 'nodenext', moduleResolution: 'nodenext' },
  { module: 'preserve', moduleResolution: 'bundler' },
]

async function types({ path, node }: Folder): Promise<string> {
  let printed = ''
  for (const resolution of resolutions) {
    const compilerOptions = {
      ...resolution,
      target: 'es2022',
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      skipLibCheck: true,
    }
    const settings = { compilerOptions, files: ['test/versions/consumer/program.ts'] }
    const config = `tsconfig.${resolution.module}.json`
    await writeFile(join(path, config), JSON.stringify(settings))
    for (const compiler of Object.keys(compilers)) {
      printed += await printedBy(node, [`node_modules/${compiler}/bin/tsc`, '-p', config], path)
    }
  }
  return printed
}

async function printedBy(node: string, args: string[], cwd: string): Promise<string> {
  try {
    await run(node, args, { cwd })
    return ''
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    return `${args.join(' ')}\n${stdout}${stderr}`
  }
}
