/** A number for people: `12,345`. */
export const formatCount = (number: number): string => number.toLocaleString("en");
