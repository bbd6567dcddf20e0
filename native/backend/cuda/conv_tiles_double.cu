// Convolutions by tiles in double and in 64-bit integers.
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

void conv_tiles_double(ConvMap map, const char* name, const ConvArgs& args) {
  run<double>(map, name, args);
}
void conv_tiles_long(ConvMap map, const char* name, const ConvArgs& args) {
  run<int64_t>(map, name, args);
}

}  // namespace ampgrad::cuda
