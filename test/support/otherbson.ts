import * as bson from 'bson'
import { otherValuesOf, otherVersionOf } from '../../src/testing/contract/otherbson.ts'

export const otherVersion = otherVersionOf(bson)
export const otherValues = otherValuesOf(bson)
export const otherObjectId = new Map(otherValues).get('ObjectId')
