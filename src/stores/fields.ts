/**
 * For stores whose database cannot apply every change itself: `combined` joins changes of one session, and `updateFields` computes
 * them on the top-level fields that they touch.
 */

export { type CombinableStore, combined, type Hints, type Together } from '../store/combining.ts'
export type { Life, Standing, StoredField, Swap } from './draft.ts'
export {
  decodeFields,
  encodeField,
  encodeFields,
  type FieldBytes,
  sizeOfField,
  sizeOfFields,
} from './fieldbytes.ts'
export {
  type FieldStore,
  type Missing,
  type Moved,
  type SwapHints,
  type Swapped,
  updateFields,
} from './swapping.ts'
