// Convolutions by tiles in float, and of bfloat16 on devices without its Tensor Cores.
#include "backend/cuda/check.h"
#include "backend/cuda/conv_tiles.cuh"
#include "backend/cuda/conv_units.h"

namespace ampgrad::cuda {

namespace {

template <class S>
void run(ConvMap map, const char* name, const ConvArgs& a) {
  const LaunchShape shape{conv_grid(a), kConvThreads};
  switch (map) {
    case ConvMap::Forward:
      return launch(name, shape, conv_tile_kernel<ConvMap::Forward, S>, a);
    case ConvMap::Input:
      return launch(name, shape, conv_tile_kernel<ConvMap::Input, S>, a);
    case ConvMap::Weight:
      return launch(name, shape, conv_tile_kernel<ConvMap::Weight, S>, a);
  }
}

}  // namespace

void conv_tiles_single(ConvMap map, const char* name, const ConvArgs& args) {
  run<float>(map, name, args);
}
void conv_tiles_bfloat16(ConvMap map, const char* name, const ConvArgs& args) {
  run<BFloat16>(map, name, args);
}

}  // namespace ampgrad::cuda
