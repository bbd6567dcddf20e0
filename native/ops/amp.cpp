// The rows of gradient scaling: checks, groups gradients by dtype, hands them to the kernels.
#include "core/error.h"
#include "ops/amp_params.h"
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

void check_scalar(const char* op, const char* name, const Tensor& t, DType dtype) {
  AG_CHECK(t.dtype() == dtype && t.numel() == 1, DType, op, ": argument '", name, "' must be a ",
           dtype_name(dtype), " tensor with one element, got ", describe(t));
}

struct Group {
  std::vector<UnscaleTensor> tensors;
  TensorList copies;   // dense stand-ins
  TensorList targets;  // of the copies
};

void add_gradient(Group& group, const Tensor& g) {
  Tensor dense = g;
  if (!g.is_contiguous()) {
    dense = contiguous_copy(g);
    group.copies.push_back(dense);
    group.targets.push_back(g);
  }
  group.tensors.push_back({dense.data(), dense.numel()});
}

}  // namespace

namespace impl {

void ampUnscaleStep_(const TensorList& grads, const Tensor& found_inf, const Tensor& inv_scale) {
  constexpr const char* kOp = "ampUnscaleStep_";
  check_scalar(kOp, "foundInf", found_inf, DType::Float32);
  check_scalar(kOp, "invScale", inv_scale, DType::Float32);
  AG_CHECK(found_inf.device() == inv_scale.device(), Device, kOp,
           ": arguments 'foundInf' and 'invScale' must be on one device");
  Group groups[kNumDTypes];
  for (size_t i = 0; i < grads.size(); ++i) {
    const Tensor& g = grads[i];
    AG_CHECK(g.defined() && is_floating(g.dtype()), DType, kOp, ": element ",
             static_cast<int64_t>(i), " of argument 'grads' must be a floating point tensor, got ",
             g.defined() ? describe(g) : "nothing");
    AG_CHECK(g.device() == found_inf.device(), Device, kOp, ": element ", static_cast<int64_t>(i),
             " of argument 'grads' is on ", to_string(g.device()), ", expected ",
             to_string(found_inf.device()));
    if (g.numel() != 0) add_gradient(groups[static_cast<size_t>(g.dtype())], g);
  }
  for (int d = 0; d < kNumDTypes; ++d) {
    const Group& group = groups[d];
    if (group.tensors.empty()) continue;
    const UnscaleParams params{group.tensors.data(), static_cast<int64_t>(group.tensors.size()),
                               inv_scale.data_as<float>(), found_inf.data_as<float>()};
    KernelTable::run(OpId::ampUnscaleStep_, found_inf.device(), static_cast<DType>(d), params);
    for (size_t i = 0; i < group.copies.size(); ++i) copy_into(group.targets[i], group.copies[i]);
  }
  for (const Tensor& g : grads) g.bump_version();
  found_inf.bump_version();
}

void ampUpdateStep_(const Tensor& scale, const Tensor& growth_tracker, const Tensor& found_inf,
                    double growth_factor, double backoff_factor, int64_t growth_interval,
                    double min_scale) {
  constexpr const char* kOp = "ampUpdateStep_";
  check_scalar(kOp, "scale", scale, DType::Float32);
  check_scalar(kOp, "growthTracker", growth_tracker, DType::Int32);
  check_scalar(kOp, "foundInf", found_inf, DType::Float32);
  AG_CHECK(scale.device() == growth_tracker.device() && scale.device() == found_inf.device(),
           Device, kOp, ": all tensors must be on one device");
  const UpdateScaleParams params{scale.data_as<float>(),
                                 growth_tracker.data_as<int32_t>(),
                                 found_inf.data_as<float>(),
                                 growth_factor,
                                 backoff_factor,
                                 growth_interval,
                                 min_scale};
  KernelTable::run(OpId::ampUpdateStep_, scale.device(), DType::Float32, params);
  scale.bump_version();
  growth_tracker.bump_version();
}

}  // namespace impl

}  // namespace ampgrad
