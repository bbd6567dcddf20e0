// Operations on whole lists of tensors, one kernel call a list: what gradient clipping needs.
#include <algorithm>
#include <limits>
#include <vector>

#include "ops/creation.h"
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

std::string element(size_t i) { return ": argument 'tensors[" + std::to_string(i) + "]'"; }

void check_list(const char* op, const TensorList& tensors) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    AG_CHECK(tensors[i].defined(), Type, op, element(i), " must be a Tensor, got null");
    AG_CHECK(is_floating(tensors[i].dtype()), DType, op, element(i),
             " must be of floating point dtype, got ", describe(tensors[i]));
    AG_CHECK(tensors[i].device() == tensors[0].device(), Device, op, element(i), " is on ",
             to_string(tensors[i].device()), " but the first is on ",
             to_string(tensors[0].device()));
  }
}

MultiTensor entry(const Tensor& t) { return {t.data(), t.dtype(), t.numel()}; }

// Whether two of the tensors share memory.
bool overlap(std::vector<MultiTensor> list) {
  std::sort(list.begin(), list.end(),
            [](const MultiTensor& a, const MultiTensor& b) { return a.data < b.data; });
  const char* end = nullptr;
  for (const MultiTensor& t : list) {
    if (t.numel == 0) continue;
    const char* begin = static_cast<const char*>(t.data);
    if (end != nullptr && begin < end) return true;
    end = begin + t.numel * static_cast<int64_t>(dtype_size(t.dtype));
  }
  return false;
}

}  // namespace

namespace impl {

Tensor multiTensorNorm(const TensorList& tensors, double ord) {
  check_list("multiTensorNorm", tensors);
  AG_CHECK(ord == ord, Value, "multiTensorNorm: argument 'ord' must be a number, got ", ord);
  std::vector<MultiTensor> list;
  TensorList kept;
  MultiTensorParams p;
  for (const Tensor& t : tensors) {
    kept.push_back(as_contiguous(t));
    list.push_back(entry(kept.back()));
    if (t.dtype() == DType::Float64) p.out_dtype = DType::Float64;
  }
  const Device device = tensors.empty() ? Device() : tensors[0].device();
  Tensor out = Tensor::empty(DimsView(), p.out_dtype, device);
  p.tensors = list.data();
  p.num_tensors = static_cast<int64_t>(list.size());
  p.ord = ord;
  p.out = out.data();
  KernelTable::run(OpId::multiTensorNorm, device, p.out_dtype, p);
  return out;
}

void multiTensorScale_(const TensorList& tensors, const Tensor& scale, std::optional<double> min,
                       std::optional<double> max) {
  const char* op = "multiTensorScale_";
  check_list(op, tensors);
  if (tensors.empty()) return;
  MultiTensorParams p;
  if (scale.defined()) {
    AG_CHECK(scale.numel() == 1 && is_floating(scale.dtype()), Value, op,
             ": argument 'scale' must be one floating point value, got ", describe(scale));
    AG_CHECK(scale.device() == tensors[0].device(), Device, op, ": argument 'scale' is on ",
             to_string(scale.device()), " but the tensors are on ", to_string(tensors[0].device()));
    p.scale = scale.data();
    p.scale_dtype = scale.dtype();
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  p.min = min.value_or(-kInfinity);
  p.max = max.value_or(kInfinity);
  std::vector<MultiTensor> list;
  std::vector<std::pair<Tensor, Tensor>> copies;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    AG_CHECK(is_non_overlapping(t.sizes(), t.strides()), Value, op, element(i),
             " has elements that share memory (shape ", t.sizes(), ", strides ", t.strides(), ")");
    if (t.is_contiguous()) {
      list.push_back(entry(t));
    } else {
      copies.emplace_back(t, contiguous_copy(t));
      list.push_back(entry(copies.back().second));
    }
  }
  // Tensors that share memory are scaled one after the other, as in a loop over the list.
  const size_t at_once = overlap(list) ? 1 : list.size();
  p.num_tensors = static_cast<int64_t>(at_once);
  for (size_t i = 0; i < list.size(); i += at_once) {
    p.tensors = list.data() + i;
    KernelTable::run(OpId::multiTensorScale_, tensors[0].device(), tensors[0].dtype(), p);
  }
  for (const auto& [target, copy] : copies) copy_into(target, copy);
  for (const Tensor& t : tensors) t.bump_version();
}

}  // namespace impl

}  // namespace ampgrad
