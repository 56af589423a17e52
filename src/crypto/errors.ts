/** Closed set of failure codes of `src/crypto`. */
export type CryptoErrorCode = 'crypto_open_failed';
