// Images of bytes as planes of floats, for the batches of a dataset that is in memory.
#pragma once

#include <cstdint>

namespace ampgrad::cpu {

// What the bytes of an image become. `table` holds 256 values a channel. Where `shift` is not null,
// (byte / 255 - shift[c]) / scale[c], every step rounded, gives the same values: that is quicker.
struct PixelValues {
  const float* table = nullptr;
  const float* shift = nullptr;
  const float* scale = nullptr;
};

// `chosen` names `count` of the images at `pixels`, which have `area` pixels of `channels` bytes.
// Writes [count, channels, area].
void gather_images(const uint8_t* pixels, const int32_t* chosen, int64_t count, int64_t area,
                   int64_t channels, const PixelValues& values, float* out);

}  // namespace ampgrad::cpu
