export { findStoredInputs, mayNameStoredInputs, type StoredInputs } from './stored-inputs.ts';
