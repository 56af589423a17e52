/** Amounts, sizes and times for people. */
export { amount, bytes, counted, exactAmount, exactMoney, inUnit, money, percent } from './numbers.ts';
export { durationOfMs, durationOfUs, exactTime, relativeTime, shortTime } from './times.ts';
export { Money, Relative, Time, Tokens } from './shown.tsx';
