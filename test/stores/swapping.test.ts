import { describe } from 'node:test'
import { combined } from '../../src/store/combining.ts'
import { storeContract } from '../contract/index.ts'
import { fieldStore } from '../support/fieldstore.ts'

describe('a store of fields with stamps', () => {
  storeContract(async () => combined(fieldStore()))
})

describe('a store of fields that compares revisions and tells nothing', () => {
  storeContract(async () => combined(fieldStore({ stamps: false, tells: false, slack: 100 })))
})
