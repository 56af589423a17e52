/** Check digits and further rules of national ids; each takes the id without separators, in capitals. */
import { hasLuhn } from './card.ts';

/** United States (https://www.ssa.gov/employer/randomization.html): areas 000, 666 and from 900 on are not given. */
export function isSsn(id: string): boolean {
  return !/^(?:000|666|9)/.test(id) && id.slice(3, 5) !== '00' && id.slice(5) !== '0000' && !isRow(id);
}

/** Numbers from examples: 123456789, 111111111. */
function isRow(id: string): boolean {
  return id === '123456789' || /^(\d)\1*$/.test(id);
}

/** Germany, section 139b AO: ten digits of which one comes twice or three times; check by ISO 7064 mod 11,10. */
export function isGermanTaxId(id: string): boolean {
  const counts = new Map<string, number>();
  for (const digit of id.slice(0, 10)) counts.set(digit, (counts.get(digit) ?? 0) + 1);
  const repeated = [...counts.values()].filter((count) => count > 1);
  const [most] = repeated;
  if (repeated.length !== 1 || most === undefined || most > 3) return false;
  let product = 10;
  for (const digit of digitsOf(id.slice(0, 10))) {
    const sum = (digit + product) % 10;
    product = ((sum === 0 ? 10 : sum) * 2) % 11;
  }
  return (11 - product) % 10 === Number(id.at(-1));
}

/** France: key 97 minus the number modulo 97; Corsica's 2A and 2B count as 19 and 18. */
export function isFrenchNir(id: string): boolean {
  const number = id.slice(0, 13).replace('2A', '19').replace('2B', '18');
  return 97 - remainder(number, 97) === Number(id.slice(13));
}

const DNI_LETTERS = 'TRWAGMYFPDXBNJZSQVHLCKE';

/** Spain: the letter is the number modulo 23; X, Y and Z of foreigners count as 0, 1 and 2. */
export function isSpanishDni(id: string): boolean {
  const number = id.slice(0, -1).replace('X', '0').replace('Y', '1').replace('Z', '2');
  return DNI_LETTERS.charAt(remainder(number, 23)) === id.at(-1);
}

/** Values of signs at odd places, 0 to 9 and A to Z (decree of 23 December 1976). */
const CODICE_ODD = [
  1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
  10, 22, 25, 24, 23,
];

/** Italy: the last letter is the sum of the values of all others modulo 26. */
export function isCodiceFiscale(id: string): boolean {
  let sum = 0;
  for (let i = 0; i < 15; i += 1) {
    const value = Number.parseInt(id.charAt(i), 36);
    if (i % 2 === 0) sum += CODICE_ODD[value] ?? 0;
    else sum += value > 9 ? value - 10 : value;
  }
  return String.fromCharCode(0x41 + (sum % 26)) === id.at(15);
}

/** Netherlands: weights 9 to 2 and -1, divisible by 11. */
export function isBsn(id: string): boolean {
  const sum = digitsOf(id).reduce((total, digit, i) => total + digit * (i === 8 ? -1 : 9 - i), 0);
  return sum % 11 === 0 && !isRow(id);
}

/** Sweden: a date (days of coordination numbers are 60 more), Luhn over the last ten digits. */
export function isPersonnummer(id: string): boolean {
  const ten = id.replace('+', '').slice(-10);
  const day = Number(ten.slice(4, 6));
  return isDay(Number(ten.slice(2, 4)), day > 60 ? day - 60 : day) && hasLuhn(ten);
}

const HETU_SIGNS = '0123456789ABCDEFHJKLMNPRSTUVWXY';

/** Finland: a date, and the nine digits modulo 31. The hyphen of the century has been taken out. */
export function isHetu(id: string): boolean {
  const digits = id.slice(0, 6) + id.slice(-4, -1);
  return (
    isDay(Number(id.slice(2, 4)), Number(id.slice(0, 2))) &&
    HETU_SIGNS.charAt(remainder(digits, 31)) === id.at(-1)
  );
}

/** Poland: months of other centuries are 20, 40, 60 or 80 more; weights 1, 3, 7, 9. */
export function isPesel(id: string): boolean {
  if (!isDay(Number(id.slice(2, 4)) % 20, Number(id.slice(4, 6)))) return false;
  const weights = [1, 3, 7, 9];
  const sum = digitsOf(id.slice(0, 10)).reduce((total, digit, i) => total + digit * (weights[i % 4] ?? 0), 0);
  return (10 - (sum % 10)) % 10 === Number(id.at(-1));
}

/** Belgium: 97 minus the first nine digits modulo 97, with a 2 before them for those born from 2000 on. */
export function isBelgianNumber(id: string): boolean {
  if (!isDay(Number(id.slice(2, 4)) % 20, Number(id.slice(4, 6)))) return false;
  const key = Number(id.slice(9));
  const number = id.slice(0, 9);
  return 97 - remainder(number, 97) === key || 97 - remainder(`2${number}`, 97) === key;
}

/** Switzerland: the check digit of EAN-13. */
export function hasEan13(id: string): boolean {
  const sum = digitsOf(id.slice(0, 12)).reduce((total, digit, i) => total + digit * (i % 2 === 0 ? 1 : 3), 0);
  return (10 - (sum % 10)) % 10 === Number(id.at(-1));
}

/** Brazil: two check digits, modulo 11. */
export function isCpf(id: string): boolean {
  const check = (length: number): number => {
    const sum = digitsOf(id.slice(0, length)).reduce(
      (total, digit, i) => total + digit * (length + 1 - i),
      0,
    );
    return ((sum * 10) % 11) % 10;
  };
  return !isRow(id) && check(9) === Number(id.charAt(9)) && check(10) === Number(id.charAt(10));
}

function digitsOf(text: string): number[] {
  return Array.from(text, Number);
}

function isDay(month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

function remainder(digits: string, modulus: number): number {
  let rest = 0;
  for (const digit of digits) rest = (rest * 10 + Number(digit)) % modulus;
  return rest;
}
