/**
 * Signatures and sizes of the ZIP format, shared by reader and writer.
 * Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.
 */
export const localSignature = 0x04034b50;
export const centralSignature = 0x02014b50;
export const endSignature = 0x06054b50;
export const end64Signature = 0x06064b50;
export const locator64Signature = 0x07064b50;

export const localSize = 30;
export const centralSize = 46;
export const endSize = 22;
export const end64Size = 56;
export const locator64Size = 20;

/** Id of the extra field with 64-bit sizes. */
export const zip64Id = 0x0001;

export const max16 = 0xffff;
export const max32 = 0xffffffff;

export const stored = 0;
export const deflated = 8;
