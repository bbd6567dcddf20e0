// What autocast wants of one call: decided from the op's row, the state and the dtypes of the
// arguments, without touching a tensor. runtime/autocast.cpp carries it out.
#pragma once

#include <optional>

#include "amp/autocast.h"
#include "ops/op.h"

namespace ampgrad {

struct CastPlan {
  bool listed = false;  // the op has a policy here: nothing below it is cast again
  Cast policy = Cast::None;
  std::optional<DType> target;  // eligible tensors become this
  int dtype_argument = -1;      // this missing argument becomes float32
  DeviceType device = DeviceType::Cpu;
};

// Floating point, on the region's kind of device, and not float64.
bool autocast_eligible(const Tensor& t, DeviceType device);

// Raises for banned ops and for mixtures that no policy can resolve.
CastPlan plan_casts(const OpDef& op, const Values& args, const AutocastState& state);

}  // namespace ampgrad
