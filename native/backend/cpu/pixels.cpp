// See pixels.h. Grey and colour images are computed by vectors, others looked up. The last pixels
// of a plane are looked up too; both ways give the same bits.
#include "backend/cpu/pixels.h"

#include <algorithm>

#include "backend/cpu/parallel.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/pixels.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Quarter = hn::Rebind<uint8_t, Floats>;

HWY_INLINE void convert(hn::Vec<Quarter> bytes, const PixelValues& v, int64_t channel, float* to) {
  const Floats d;
  const auto x = hn::ConvertTo(d, hn::PromoteTo(hn::RebindToSigned<Floats>(), bytes));
  const auto unit = hn::Div(x, hn::Set(d, 255.0F));
  const auto centred = hn::Sub(unit, hn::Set(d, v.shift[channel]));
  hn::StoreU(hn::Div(centred, hn::Set(d, v.scale[channel])), d, to);
}

// Both return how many pixels they have done.
HWY_ATTR int64_t convert_grey(const uint8_t* image, int64_t area, const PixelValues& v, float* to) {
  const Quarter d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= area; i += lanes) convert(hn::LoadU(d, image + i), v, 0, to + i);
  return i;
}

HWY_ATTR int64_t convert_colour(const uint8_t* image, int64_t area, const PixelValues& v,
                                float* to) {
  const Quarter d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= area; i += lanes) {
    hn::Vec<Quarter> red;
    hn::Vec<Quarter> green;
    hn::Vec<Quarter> blue;
    hn::LoadInterleaved3(d, image + 3 * i, red, green, blue);
    convert(red, v, 0, to + i);
    convert(green, v, 1, to + area + i);
    convert(blue, v, 2, to + 2 * area + i);
  }
  return i;
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrainElements = 24'576;
constexpr int64_t kBytes = 256;

HWY_EXPORT(convert_grey);
HWY_EXPORT(convert_colour);

void look_up(const uint8_t* image, int64_t begin, int64_t area, int64_t channels,
             const float* table, float* to) {
  for (int64_t c = 0; c < channels; ++c) {
    const float* values = table + c * kBytes;
    const uint8_t* from = image + c;
    for (int64_t i = begin; i < area; ++i) to[c * area + i] = values[from[i * channels]];
  }
}

int64_t convert_start(const uint8_t* image, int64_t area, int64_t channels, const PixelValues& v,
                      float* to) {
  if (v.shift == nullptr) return 0;
  if (channels == 1) return HWY_DYNAMIC_DISPATCH(convert_grey)(image, area, v, to);
  if (channels == 3) return HWY_DYNAMIC_DISPATCH(convert_colour)(image, area, v, to);
  return 0;
}

}  // namespace

void gather_images(const uint8_t* pixels, const int32_t* chosen, int64_t count, int64_t area,
                   int64_t channels, const PixelValues& values, float* out) {
  const int64_t size = area * channels;
  const int64_t grain = std::max<int64_t>(kGrainElements / (size + 1), 1);
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const uint8_t* image = pixels + chosen[k] * size;
      float* to = out + k * size;
      const int64_t done = convert_start(image, area, channels, values, to);
      look_up(image, done, area, channels, values.table, to);
    }
  });
}

}  // namespace ampgrad::cpu
#endif
