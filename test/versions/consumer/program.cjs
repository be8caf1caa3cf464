// What users of CommonJS write; prints nothing where all of it is there.
const assert = require('node:assert/strict')
const Session = require('koa-atomic-session')
const { koaSession } = require('koa-atomic-session/adopt')
const { sqliteStore } = require('koa-atomic-session/sqlite')
const { memoryStore } = require('koa-atomic-session/memory')

assert.equal(typeof Session, 'function')
assert.equal(Session.default, Session)
for (const made of [koaSession(), sqliteStore, memoryStore().load, Session.mongoStore]) {
  assert.equal(typeof made, 'function')
}
