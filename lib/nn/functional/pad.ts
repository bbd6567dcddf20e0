/** Padding at the ends of the last dimensions: a row of the op table. */
export { pad, type PadOptions } from '../../ops.gen';

export const padModes = ['constant', 'reflect', 'replicate', 'circular'] as const;

export type PadMode = (typeof padModes)[number];
