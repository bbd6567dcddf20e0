/** `describe` where there is a CUDA library (the emulator's or a GPU's); otherwise skipped, and it says so. */
const library = process.env['AMPGRAD_CUDA_LIBRARY'];
if (!library) {
  console.warn('skipped: no CUDA library; npm run test:cuda builds the emulated one and runs this');
}

export const suite = library ? describe : describe.skip;
