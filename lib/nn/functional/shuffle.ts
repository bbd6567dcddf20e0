/** Rearrangement and sampling of pixels: rows of the op table. */
export {
  affineGrid,
  channelShuffle,
  gridSample,
  pixelShuffle,
  pixelUnshuffle,
} from '../../ops.gen';
