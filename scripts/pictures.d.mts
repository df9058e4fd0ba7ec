/** The folder of the text files that describe the pictures. */
export const sources: string;
/** The folder of the SVG files. */
export const images: string;
export function draw(text: string): string;
