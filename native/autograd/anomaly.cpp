#include "autograd/anomaly.h"

#include "autograd/grad_mode.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

thread_local std::function<std::string()> capture_origin;

std::string origin_text(const Node& node) {
  if (!node.origin) {
    return "; the op was recorded while anomaly detection was off: turn it on around the forward "
           "pass, too";
  }
  return "; the op was called here:\n" + *node.origin;
}

bool has_nan(const Tensor& t) {
  if (!is_floating(t.dtype()) || t.numel() == 0) return false;
  const GradModeGuard off(false);
  const Tensor any = ops::to(ops::any(ops::isnan(t)), DType::Bool);
  return first_value<bool>(any);
}

}  // namespace

void AnomalyMode::enable(bool check_nan, std::function<std::string()> capture) {
  enabled_ = true;
  check_nan_ = check_nan;
  capture_origin = std::move(capture);
}

void AnomalyMode::disable() {
  enabled_ = false;
  capture_origin = nullptr;
}

void AnomalyMode::note_origin(Node& node) {
  if (capture_origin) node.origin = std::make_unique<std::string>(capture_origin());
}

TensorList apply_watched(Node& node, TensorList&& grads) {
  TensorList results;
  try {
    results = node.apply(std::move(grads));
  } catch (const Error& e) {
    throw Error(e.code(), e.message() + origin_text(node));
  }
  if (!AnomalyMode::checks_nan()) return results;
  for (size_t i = 0; i < results.size(); ++i) {
    AG_CHECK(!results[i].defined() || !has_nan(results[i]), Autograd, "Function '", node.name(),
             "' returned nan values in its ", static_cast<int64_t>(i), "th output",
             origin_text(node));
  }
  return results;
}

}  // namespace ampgrad
