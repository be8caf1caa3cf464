export * from '../../src/testing/contract/records.ts'
