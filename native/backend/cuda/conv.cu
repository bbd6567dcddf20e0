// Convolutions: which kernel a map of given sizes takes, how batches beyond 2^31 places are cut,
// and the sum of the parts of a weight gradient, in a fixed order.
#include <algorithm>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/conv_units.h"
#include "backend/cuda/families.h"
#include "backend/cuda/scratch.h"
#include "ops/conv_params.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kTile = 64;
constexpr int64_t kFewChannels = 16;      // less fills too little of a tile
constexpr int64_t kMostPlaces = 1 << 30;  // of a launch
constexpr int64_t kPartSize = 4096;       // places that a weight gradient sums in one go
constexpr int64_t kMostParts = 256;

int narrow(int64_t v) {
  AG_CHECK(v <= INT32_MAX, Shape,
           "convolution: sizes of more than 2^31 - 1 elements in a plane or ",
           "of a channel's weights are not supported on cuda");
  return static_cast<int>(v);
}

int64_t volume(const int64_t (&size)[3]) { return size[0] * size[1] * size[2]; }

ConvArgs args_of(const ConvParams& p) {
  ConvArgs a;
  a.groups = narrow(p.groups);
  a.x_channels = narrow(p.x_channels);
  a.y_channels = narrow(p.y_channels);
  a.x_plane = narrow(volume(p.x_size));
  a.y_plane = narrow(volume(p.y_size));
  a.taps = narrow(volume(p.kernel));
  for (int d = 0; d < 3; ++d) {
    a.x_size[d] = narrow(p.x_size[d]);
    a.y_size[d] = narrow(p.y_size[d]);
    a.stride[d] = narrow(p.stride[d]);
    a.padding[d] = narrow(p.padding[d]);
    a.dilation[d] = narrow(p.dilation[d]);
    a.by_stride[d] = Divider(p.stride[d]);
    narrow(p.x_size[d] + p.padding[d] + p.y_size[d] * p.stride[d] + p.kernel[d] * p.dilation[d]);
  }
  a.by_taps = Divider(a.taps);
  a.by_tap2 = Divider(p.kernel[2]);
  a.by_tap1 = Divider(p.kernel[1]);
  a.by_x_plane = Divider(a.x_plane);
  a.by_x2 = Divider(p.x_size[2]);
  a.by_x1 = Divider(p.x_size[1]);
  a.by_y_plane = Divider(a.y_plane);
  a.by_y2 = Divider(p.y_size[2]);
  a.by_y1 = Divider(p.y_size[1]);
  return a;
}

const void* item(const void* data, int64_t index, int64_t channels, int64_t plane, DType dtype) {
  return static_cast<const char*>(data) +
         index * channels * plane * static_cast<int64_t>(dtype_size(dtype));
}

void run_tiles(DType dtype, ConvMap map, const char* name, const ConvArgs& a) {
  switch (dtype) {
    case DType::Float16:
      return conv_tensor_half(map, name, a);
    case DType::BFloat16:
      return current_context().properties.major >= 8 ? conv_tensor_bfloat16(map, name, a)
                                                     : conv_tiles_bfloat16(map, name, a);
    case DType::Float64:
      return conv_tiles_double(map, name, a);
    case DType::Int64:
      return conv_tiles_long(map, name, a);
    default:
      return conv_tiles_single(map, name, a);
  }
}

// Columns cost memory traffic that many channels make up for.
constexpr int kColumnsFrom = 64;

enum class Way : uint8_t { Direct, Tiles, Pointwise, Columns };

Way choose(const ConvParams& p, const ConvArgs& a) {
  if (a.m < kFewChannels) return Way::Direct;
  if (a.groups > 1 || !is_floating(p.dtype)) return Way::Tiles;
  bool pointwise = a.taps == 1;
  for (int d = 0; d < 3; ++d) {
    pointwise = pointwise && a.stride[d] == 1 && a.padding[d] == 0 && a.x_size[d] == a.y_size[d];
  }
  if (pointwise) return Way::Pointwise;
  const bool full = p.dtype == DType::Float32 || p.dtype == DType::Float64;
  const bool columns = full && a.y_channels >= kColumnsFrom;
  return columns && conv_columns_items(p.dtype, a, p.batch) > 0 ? Way::Columns : Way::Tiles;
}

// Forward and input gradient: items are independent.
template <ConvMap kMap>
void run_places(const ConvParams& p, const void* name_of_row) {
  const auto* name = static_cast<const char*>(name_of_row);
  constexpr bool kForward = kMap == ConvMap::Forward;
  ConvArgs a = args_of(p);
  a.m = kForward ? a.y_channels : a.x_channels;
  a.k = narrow(int64_t{kForward ? a.x_channels : a.y_channels} * a.taps);
  a.part_size = a.k;
  a.rows = p.w;
  a.bias = p.bias;
  const int64_t plane = kForward ? a.y_plane : a.x_plane;
  const int64_t most = std::max<int64_t>(kMostPlaces / plane, 1);
  const Way way = choose(p, a);
  for (int64_t first = 0; first < p.batch; first += most) {
    a.n = narrow(std::min(most, p.batch - first) * plane);
    const void* x = item(p.x, first, p.groups * p.x_channels, a.x_plane, p.dtype);
    const void* y = item(p.y, first, p.groups * p.y_channels, a.y_plane, p.dtype);
    a.columns = kForward ? x : y;
    a.out = const_cast<void*>(kForward ? y : x);
    const int64_t items = std::min(most, p.batch - first);
    switch (way) {
      case Way::Direct:
        conv_direct(p.dtype, kMap, name, a);
        break;
      case Way::Tiles:
        run_tiles(p.dtype, kMap, name, a);
        break;
      case Way::Pointwise:
        conv_pointwise(p.dtype, kMap, name, a, items);
        break;
      case Way::Columns:
        conv_columns(p.dtype, kMap, name, a, items);
        break;
    }
  }
}

template <class S>
__global__ void __launch_bounds__(kThreads)
    add_parts_kernel(const ConvMath<S>* parts, int num_parts, int64_t numel, S* out) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < numel; i += step) {
    ConvMath<S> sum{0};
    for (int part = 0; part < num_parts; ++part) sum += parts[part * numel + i];
    out[i] = cast<S>(sum);
  }
}

struct WeightPlan {
  int64_t items = 0;  // of a launch
  int64_t launches = 1;
  bool direct = false;
  int parts = 1;  // of a launch
  int part_size = 0;
};

// More parts where the results alone do not fill the device.
WeightPlan plan_weights(const ConvParams& p, const ConvArgs& a) {
  WeightPlan plan;
  plan.items = std::min(p.batch, std::max<int64_t>(kMostPlaces / a.y_plane, 1));
  plan.launches = (p.batch + plan.items - 1) / plan.items;
  plan.direct = a.m < kFewChannels || a.n < kFewChannels;
  const int64_t blocks =
      plan.direct ? wide(a.groups, a.m) * a.n
                  : wide(a.groups, (a.m + kTile - 1) / kTile) * ((a.n + kTile - 1) / kTile);
  const int64_t k = plan.items * a.y_plane;
  const int64_t wanted =
      std::max<int64_t>(4 * current_context().properties.multiProcessorCount / blocks, 1);
  const int64_t longest = (k + kPartSize - 1) / kPartSize;
  const int64_t parts = std::min({wanted, longest, kMostParts});
  const int64_t size = ((k + parts - 1) / parts + kTile - 1) / kTile * kTile;
  plan.part_size = narrow(size);
  plan.parts = static_cast<int>((k + size - 1) / size);
  return plan;
}

template <class S>
void run_weights(const ConvParams& p, const void* name_of_row) {
  constexpr ConvMap kMap = ConvMap::Weight;
  const auto* name = static_cast<const char*>(name_of_row);
  ConvArgs a = args_of(p);
  a.m = a.y_channels;
  a.n = narrow(int64_t{a.x_channels} * a.taps);
  a.out = p.w;
  const WeightPlan plan = plan_weights(p, a);
  a.num_parts = plan.parts;
  a.part_size = plan.part_size;
  using T = ConvMath<S>;
  const int64_t numel = wide(a.groups, a.m) * a.n;
  const int64_t all_parts = plan.launches * plan.parts;
  const Scratch parts(all_parts > 1 ? static_cast<size_t>(all_parts * numel) * sizeof(T) : 0);
  for (int64_t l = 0; l < plan.launches; ++l) {
    const int64_t first = l * plan.items;
    a.k = narrow(std::min(plan.items, p.batch - first) * a.y_plane);
    a.rows = item(p.y, first, p.groups * p.y_channels, a.y_plane, p.dtype);
    a.columns = item(p.x, first, p.groups * p.x_channels, a.x_plane, p.dtype);
    if (all_parts > 1) a.parts = parts.as<T>() + l * plan.parts * numel;
    if (plan.direct) {
      conv_direct(p.dtype, kMap, name, a);
    } else {
      run_tiles(p.dtype, kMap, name, a);
    }
  }
  if (all_parts > 1) {
    launch(name, {grid_for(numel, kThreads), kThreads}, add_parts_kernel<S>, parts.as<T>(),
           narrow(all_parts), numel, static_cast<S*>(p.w));
  }
}

template <class S>
void set(const CudaHost& host) {
  set_kernel<ConvParams>(host, OpId::convForward, dtype_of<S>, run_places<ConvMap::Forward>,
                         "convForward");
  set_kernel<ConvParams>(host, OpId::convInputGrad, dtype_of<S>, run_places<ConvMap::Input>,
                         "convInputGrad");
  set_kernel<ConvParams>(host, OpId::convWeightGrad, dtype_of<S>, run_weights<S>, "convWeightGrad");
}

}  // namespace

dim3 conv_grid(const ConvArgs& a) {
  const auto tiles = [](int64_t n) { return static_cast<unsigned>((n + kTile - 1) / kTile); };
  const int64_t deep = std::min<int64_t>(wide(a.groups, a.num_parts), 65535);
  return dim3(tiles(a.n), tiles(a.m), static_cast<unsigned>(deep));
}

void register_conv(const CudaHost& host) {
  set<Half>(host);
  set<BFloat16>(host);
  set<float>(host);
  set<double>(host);
  set<int64_t>(host);
}

}  // namespace ampgrad::cuda
