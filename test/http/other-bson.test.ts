import assert from 'node:assert/strict'
import { FieldError } from '../../src/index.ts'
import { anApp, type Handler, onEachStore } from '../support/frameworks.ts'
import { lifecycle } from '../support/lifecycle.ts'
import { otherObjectId, otherVersion } from '../support/otherbson.ts'

const routes: Record<string, Handler> = {
  '/begin': ctx => ctx.session.set('n', 1),
  '/set': ctx => ctx.session.set('user.id', otherObjectId),
  '/deep': ctx => ctx.session.inc('n').set('orders', [{ by: otherObjectId }]),
  '/guarded': ctx => ctx.session.if('user.id', '!=', otherObjectId).inc('n'),
  '/regenerate': async ctx => {
    const session = await ctx.session()
    await session.set('user', { id: otherObjectId })
  },
}

onEachStore(
  'an ObjectId of another version of bson is the program’s error, named by its path, and no outage',
  async (t, watched) => {
    const { visitor, errors, sessions } = await anApp(t, { store: watched.store, user: 'user.id' }, routes)
    const events = lifecycle(t)
    const refused = async (who: ReturnType<typeof visitor>, url: string, path: string) => {
      const { status, headers, setCookies } = await who.get(url)
      assert.equal(status, 500)
      assert.equal(headers['retry-after'], undefined)
      assert.deepEqual(setCookies, [])
      const [error, ...others] = errors.splice(0)
      assert.ok(error instanceof FieldError, String(error))
      assert.equal(error.path, path)
      assert.ok(error.message.includes(`version ${otherVersion} of the package bson`), error.message)
      assert.deepEqual(others, [])
    }
    await refused(visitor(), '/set', 'user.id')
    assert.deepEqual(await watched.records(), [])
    const ada = visitor()
    await ada.get('/begin')
    await refused(ada, '/set', 'user.id')
    await refused(ada, '/deep', 'orders.0.by')
    await refused(ada, '/guarded', 'user.id')
    await refused(ada, '/regenerate', 'user.id')
    await assert.rejects(async () => {
      for await (const _ of sessions.find(otherObjectId));
    }, FieldError)
    assert.deepEqual(
      (await watched.records()).map(({ fields }) => fields),
      [{ n: 1 }],
    )
    assert.deepEqual(
      events.map(({ type }) => type),
      ['created'],
    )
  },
)
