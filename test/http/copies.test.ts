import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { Binary, Decimal128, Long, ObjectId, UUID } from 'bson'
import { anApp, type Handler, onEachStore } from '../support/frameworks.ts'
import type { Watched } from '../support/watchedstore.ts'

/** As the stores and the driver load it: the classes that `import` gives are others. */
const required: typeof import('bson') = createRequire(import.meta.url)('bson')

const ones = () => Buffer.alloc(16, 1)

/** Whatever can be altered in place. */
function made(): Record<string, object> {
  return {
    date: new Date(5),
    buffer: ones(),
    bytes: new Uint8Array(16).fill(1),
    binary: new Binary(ones(), 128),
    uuid: new UUID(ones()),
    decimal: new Decimal128(ones()),
    long: Long.fromString('9007199254740993'),
    oid: new ObjectId('1'.repeat(24)),
  }
}

function alterAll(holder: Readonly<Record<string, object>>): void {
  for (const name of Object.keys(made())) alter(holder[name] as object)
}

function alter(value: object): void {
  if (value instanceof Date) value.setTime(6)
  else if (value instanceof Uint8Array) value.fill(2)
  else {
    for (const [key, part] of Object.entries(value)) {
      if (part instanceof Uint8Array) part.fill(2)
      else if (typeof part === 'number') Reflect.set(value, key, 2)
    }
  }
}

const shown = (value: unknown) => JSON.stringify(value)

function onEachStoreIn(title: string, handler: Handler): void {
  onEachStore(title, async (t, { store }: Watched) => {
    const { visitor, errors } = await anApp(t, { store }, { '/': handler })
    await visitor().get('/')
    assert.deepEqual(errors, [])
  })
}

onEachStoreIn('what was given is stored as it was at the call, whatever becomes of it', async ctx => {
  const given = made()
  const written = [
    ctx.session.set('all', given),
    ctx.session.push('list', given),
    ctx.session.if('all', '=', given).set('isSame', true),
  ]
  alterAll(given)
  await Promise.all(written)
  const [all, list, isSame] = await ctx.session.get('all', 'list', 'isSame')
  assert.equal(isSame, true)
  assert.deepEqual(list, [all])
  assert.equal(String(all.oid), '1'.repeat(24))
  assert.equal(all.decimal.toString(), made().decimal?.toString())
})

onEachStoreIn(
  'what a session shows is each reader’s own, and what is carried over is what is stored',
  async ctx => {
    const session = await ctx.session()
    // Before it is read again, it shows what was written.
    for (const read of [() => {}, () => session.update()]) {
      await session.set({ ...made(), nested: { list: [made()] } })
      await read()
      const before = shown(session)
      alterAll(session)
      alterAll({ ...session })
      alterAll(session.nested.list[0])
      for (const { list } of [await session.get('nested'), await ctx.session.get('nested')]) alterAll(list[0])
      assert.equal(shown(session), before)
      await session.regenerate({ keep: true })
      assert.equal(shown(session), before)
      assert.equal(shown(await session.update()), before)
    }
  },
)

onEachStoreIn('what a command resolves to is the caller’s own', async ctx => {
  const { all } = await ctx.session.set('all', made())
  const before = shown(all)
  alterAll(all)
  assert.equal(shown(await ctx.session.get('all')), before)
  const session = await ctx.session()
  alterAll(await session.get('all'))
  assert.equal(shown(session.all), before)
  assert.equal(shown(await session.take('all')), before)
})

onEachStoreIn('an ObjectId or a UUID that a session shows is of its class', async ctx => {
  const [oid, uuid] = [new required.ObjectId(), new required.UUID()]
  const session = await ctx.session()
  for (const read of [() => {}, () => session.update()]) {
    await session.set({ oid, uuid })
    await read()
    assert.ok(session.oid instanceof required.ObjectId)
    assert.ok(session.oid.equals(oid))
    assert.ok(session.uuid instanceof required.UUID)
    assert.ok(session.uuid.equals(uuid))
    assert.deepEqual(await session.get('uuid'), session.uuid)
  }
})
