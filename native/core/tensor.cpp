#include "core/tensor.h"

#include <atomic>

namespace ampgrad {

namespace {
std::atomic<int64_t> live_tensors{0};
}

int64_t live_tensor_count() { return live_tensors.load(std::memory_order_relaxed); }

TensorImpl::TensorImpl(StoragePtr s, DType d, Dims sz, Dims st, int64_t off)
    : storage(std::move(s)),
      sizes(std::move(sz)),
      strides(std::move(st)),
      offset(off),
      numel(element_count(sizes)),
      dtype(d),
      contiguous(is_contiguous(sizes, strides)) {
  live_tensors.fetch_add(1, std::memory_order_relaxed);
}

TensorImpl::~TensorImpl() { live_tensors.fetch_sub(1, std::memory_order_relaxed); }

Tensor Tensor::empty(DimsView sizes, DType dtype, Device device) {
  check_sizes("empty", sizes, dtype_size(dtype));
  const size_t bytes = static_cast<size_t>(element_count(sizes)) * dtype_size(dtype);
  return Tensor(make_intrusive<TensorImpl>(make_intrusive<Storage>(device, bytes), dtype,
                                           Dims(sizes), contiguous_strides(sizes), 0));
}

Tensor Tensor::from_storage(StoragePtr storage, DType dtype, Dims sizes, Dims strides,
                            int64_t offset) {
  return Tensor(make_intrusive<TensorImpl>(std::move(storage), dtype, std::move(sizes),
                                           std::move(strides), offset));
}

int64_t Tensor::size(int64_t dim) const {
  AG_CHECK(ndim() > 0, Range, "size: dimension specified as ", dim,
           " but tensor has no dimensions");
  return impl_->sizes[static_cast<size_t>(wrap_dim("size", dim, ndim()))];
}

int64_t Tensor::stride(int64_t dim) const {
  AG_CHECK(ndim() > 0, Range, "stride: dimension specified as ", dim,
           " but tensor has no dimensions");
  return impl_->strides[static_cast<size_t>(wrap_dim("stride", dim, ndim()))];
}

Tensor Tensor::alias() const { return alias(sizes(), strides(), offset()); }

Tensor Tensor::alias(Dims sizes, Dims strides, int64_t offset) const {
  return from_storage(storage(), dtype(), std::move(sizes), std::move(strides), offset);
}

std::string describe(const Tensor& t) {
  if (!t.defined()) return "undefined tensor";
  return std::string(dtype_name(t.dtype())) + to_string(DimsView(t.sizes()));
}

}  // namespace ampgrad
