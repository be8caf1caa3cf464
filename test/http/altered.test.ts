import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type Document, Long } from 'mongodb'
import { idOf } from '../../src/ids.ts'
import { anApp, type Handler, type RunningApp, test } from '../support/frameworks.ts'
import { lifecycle } from '../support/lifecycle.ts'
import { aCollection, withoutMongoDB } from '../support/mongodb/collection.ts'
import type { Visitor } from '../support/visitor.ts'

const routes: Record<string, Handler> = {
  '/begin': ctx => ctx.session.set({ user_id: 'ada', n: 0 }).then(() => undefined),
  '/load': async ctx => Object(await ctx.session()).n,
  '/get': ctx => ctx.session.get('n'),
  '/inc': async ctx => (await ctx.session.inc('n')).n,
  '/blind': ctx => {
    ctx.session.inc('n')
    return true
  },
  '/touch': ctx => ctx.session.touch().then(() => true),
  '/lifetime': async ctx => (await ctx.session()).maxAge,
  '/renew': async ctx => (await ctx.session.regenerate({ keep: true })).id,
}

/** What an operator, or a script, may do to the document of a session, and leave its mark and its end. */
const byHand: [what: string, update: Document][] = [
  ['no absolute limit, as null', { $set: { absolute: null } }],
  ['an absolute limit that is past', { $set: { absolute: new Date(1) } }],
  ['an absolute limit that is a text', { $set: { absolute: 'never' } }],
  ['a lifetime that is no number', { $set: { maxAge: Number.NaN } }],
  ['a lifetime that is a text', { $set: { maxAge: '14 days' } }],
  ['a lifetime that has no end', { $set: { maxAge: Infinity } }],
  ['a lifetime of half a millisecond more', { $set: { maxAge: 1000.5 } }],
  ['no lifetime', { $unset: { maxAge: '' } }],
  ['no creation', { $unset: { created: '' } }],
  ['a creation that is a text', { $set: { created: 'yesterday' } }],
  ['a revision that is a text', { $set: { rev: '1' } }],
  ['a revision that is null', { $set: { rev: null } }],
  ['a revision that is no number', { $set: { rev: Number.NaN } }],
  ['a revision that cannot be counted on', { $set: { rev: Long.MAX_VALUE } }],
  ['no revision', { $unset: { rev: '' } }],
  ['fields that are a text', { $set: { data: 'text' } }],
  ['fields that are a list', { $set: { data: [{ n: 5 }] } }],
  ['fields that are null', { $set: { data: null } }],
  ['no fields', { $unset: { data: '' } }],
  ['a note that it has ended', { $set: { ended: new Date(), next: 'x' } }],
  ['something beside it', { $set: { note: 'looked at', seen: [1] } }],
  ['an end that no date here can tell', { $set: { expires: [new Date(Date.now() + 1e9)] } }],
]

async function aShop(t: TestContext) {
  const collection = aCollection<{ _id: string }>(t)
  const running = await anApp(t, { user: 'user_id', touchAfter: 1 }, routes)
  running.sessions.collection = collection as never
  return { ...running, collection }
}

async function signedIn({ visitor }: RunningApp): Promise<Visitor> {
  const ada = visitor()
  assert.equal((await ada.get('/begin')).status, 200)
  return ada
}

function idIn(visitor: Visitor): string {
  return idOf(visitor.jar.get('sid')?.split('.')[0] ?? '')
}

for (const [what, update] of byHand) {
  test(`a session that somebody has altered is one to all its requests: ${what}`, {
    skip: withoutMongoDB,
  }, async t => {
    const shop = await aShop(t)
    const eve = await signedIn(shop)
    const events = lifecycle(t)
    // Each request may be the first that meets it.
    for (const first of ['/load', '/get', '/inc', '/blind', '/touch', '/lifetime', '/renew']) {
      const ada = await signedIn(shop)
      await shop.collection.updateOne({ _id: idIn(ada) }, update)
      events.length = 0
      for (const path of [first, '/load', '/get', '/inc', '/touch', '/renew', '/inc', '/load']) {
        const { status, text, setCookies } = await ada.get(path)
        assert.equal(status, 200, `${path} after ${first}: ${text}`)
        for (const line of setCookies) assert.doesNotMatch(line, /^sid=;|expires=Thu, 01 Jan 1970/, path)
      }
      const counted = first === '/inc' || first === '/blind' ? 3 : 2
      assert.equal((await ada.get('/get')).json, counted, first)
      assert.ok(
        events.every(({ type }) => type === 'regenerated'),
        JSON.stringify(events),
      )
      assert.ok(Number((await ada.get('/lifetime')).json) > 0)
    }
    assert.equal((await eve.get('/get')).json, 0)
    const named = await shop.collection.countDocuments({ v: 2, 'data.user_id': 'ada' })
    assert.equal(await shop.sessions.endAll('ada'), named)
    assert.equal(await shop.collection.countDocuments({ v: 2, 'data.user_id': 'ada' }), 0)
    assert.deepEqual(shop.errors, [])
  })
}

test('what somebody has stored among a user’s sessions does not keep them from being found and ended', {
  skip: withoutMongoDB,
}, async t => {
  const shop = await aShop(t)
  const ada = await signedIn(shop)
  const mine = await shop.collection.findOne({ _id: idIn(ada) })
  assert.ok(mine)
  const strange: unknown[] = [1, 'a name', '', null, { id: 1 }, new Date(), Long.MAX_VALUE]
  for (const _id of strange) await shop.collection.insertOne({ ...mine, _id } as never)
  await shop.collection.insertOne({ ...mine, _id: 'f'.repeat(64), v: 1 } as never)
  const found: string[] = []
  for await (const { id } of shop.sessions.find('ada')) found.push(id)
  assert.deepEqual(found, [mine._id])
  assert.equal(await shop.sessions.endAll('ada'), 1)
  assert.equal(await shop.collection.countDocuments(), strange.length + 1)
})
