import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aFaultyApp, signedIn, TOLERANCE } from '../support/faultyapp.ts'
import { withoutMongoDB } from '../support/mongodb/collection.ts'

const HOUR = 60 * 60 * 1000

test('what a later version keeps beside the fields is left as it is, and its sessions are read', {
  skip: withoutMongoDB,
}, async t => {
  const app = await aFaultyApp(t, { touchAfter: 1, timeout: TOLERANCE })
  const ada = await signedIn(app)
  const later = { format: 3, device: { name: 'phone' }, seen: [new Date(1)] }
  await app.collection.updateOne({}, { $set: later })
  for (const path of ['/read', '/count', '/write', '/count']) {
    assert.equal((await ada.get(path)).status, 200)
  }
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 2 })
  const [document] = await app.collection.find().toArray()
  const { format, device, seen } = document as typeof later & { _id: string }
  assert.deepEqual({ format, device, seen }, later)
})

test('a record of a later form is nobody’s session, and is left to who understands it', {
  skip: withoutMongoDB,
}, async t => {
  const app = await aFaultyApp(t, { timeout: TOLERANCE })
  const ada = await signedIn(app)
  const [stored] = await app.collection.find().toArray()
  assert.ok(stored)
  const { _id } = stored
  const expires = new Date(Date.now() + HOUR)
  for (const later of [
    { ...stored, v: 3 },
    { _id, v: 3, expires, content: 'packed' },
    { _id, expires, content: 'packed' },
  ]) {
    await app.collection.replaceOne({ _id }, later)
    const twin = ada.twin()
    assert.deepEqual((await twin.twin().get('/read')).json, {})
    assert.equal((await twin.get('/count')).status, 200)
    assert.deepEqual((await twin.get('/read')).json, { n: 1 })
    assert.deepEqual(await app.collection.findOne({ _id }), later)
  }
  assert.equal(await app.collection.countDocuments(), 4)
})
