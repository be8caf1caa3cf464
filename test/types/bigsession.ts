/** The source of an app whose sessions have 200 fields, nested four deep, with 140 commands on them. */
export function anAppOf200Fields(types: string): string {
  const groups = Array.from({ length: 40 }, (_, group) => group)
  return [
    `import type { LoadedSession, SessionHandle, ValidData } from ${JSON.stringify(types)}`,
    'interface Nested { a: { b: { c: { d: number; list: { id: string; n: number }[] } } }; tags: string[]; opt?: { x: number } | null }',
    'interface Big {',
    ...groups.flatMap(fieldsOf),
    '}',
    'declare function Session<Data extends ValidData<Data>>(): SessionHandle<Data>',
    'declare const session: LoadedSession<Big>',
    'declare const index: number',
    'const handle = Session<Big>()',
    ...groups.slice(0, 20).flatMap(commandsOn),
  ].join('\n')
}

function fieldsOf(group: number): string[] {
  return [
    `number${group}: number`,
    `text${group}?: string`,
    `nested${group}: Nested & { own${group}: { v: number } }`,
    `object${group}: { x: number; y?: string; z: { kind${group}: 'a' | 'b'; list: number[] } }`,
    `list${group}: { id: string; qty: number; sub: { v${group}: number }[] }[]`,
  ]
}

function commandsOn(group: number): string[] {
  return [
    `export const a${group} = handle.set('number${group}', 1).inc('object${group}.x').set('nested${group}.a.b.c.d', 1)`,
    `export const b${group} = await handle.set({ number${group}: 1, text${group}: '', 'object${group}.z.kind${group}': 'a' })`,
    `export const c${group} = await session.if('number${group}', '>=', 5).inc('number${group}', -5)`,
    `export const d${group} = await handle.get('nested${group}.a.b.c.list.0.n', 'text${group}', ['list${group}', index, 'qty'])`,
    `export const e${group} = await handle.push('list${group}', { id: '', qty: 1, sub: [] }, { sort: { qty: 1 } })`,
    `export const f${group} = await handle.take('nested${group}.opt')`,
    `export const g${group} = session.unset('text${group}').rename('number${group}', 'number${group + 20}')`,
  ]
}
