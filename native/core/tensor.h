// The tensor handle: a strided window (sizes, strides, offset, dtype) on a storage, plus an opaque
// slot in which autograd keeps its state. Copying a Tensor copies a pointer.
#pragma once

#include <cstdint>
#include <memory>

#include "core/device.h"
#include "core/dtype.h"
#include "core/pool.h"
#include "core/scalar.h"
#include "core/shape.h"
#include "core/storage.h"

namespace ampgrad {

class Tensor;

// Base of what autograd attaches to a tensor; core only knows how to destroy it and that a leaf may
// have an accumulated gradient, which optimizer steps read.
struct AutogradMetaBase {
  virtual ~AutogradMetaBase() = default;
  virtual const Tensor* accumulated_gradient() const { return nullptr; }
};

class TensorImpl final : public RefCounted, public Pooled<TensorImpl> {
 public:
  TensorImpl(StoragePtr storage, DType dtype, Dims sizes, Dims strides, int64_t offset);
  ~TensorImpl() override;

  StoragePtr storage;
  Dims sizes;
  Dims strides;
  int64_t offset;
  int64_t numel;
  DType dtype;
  bool contiguous;
  // True for a 0-d tensor made from a number: it takes part in promotion like the number.
  bool wrapped_number = false;
  std::unique_ptr<AutogradMetaBase> autograd;
};

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(IntrusivePtr<TensorImpl> impl) : impl_(std::move(impl)) {}

  // Uninitialised memory.
  static Tensor empty(DimsView sizes, DType dtype, Device device = {});
  static Tensor from_storage(StoragePtr storage, DType dtype, Dims sizes, Dims strides,
                             int64_t offset = 0);

  bool defined() const { return static_cast<bool>(impl_); }
  explicit operator bool() const { return defined(); }
  TensorImpl* impl() const { return impl_.get(); }
  const IntrusivePtr<TensorImpl>& impl_ptr() const { return impl_; }
  bool is_same(const Tensor& o) const { return impl_ == o.impl_; }

  const Dims& sizes() const { return impl_->sizes; }
  const Dims& strides() const { return impl_->strides; }
  int64_t size(int64_t dim) const;
  int64_t stride(int64_t dim) const;
  size_t ndim() const { return impl_->sizes.size(); }
  int64_t numel() const { return impl_->numel; }
  DType dtype() const { return impl_->dtype; }
  Device device() const { return impl_->storage->device(); }
  const StoragePtr& storage() const { return impl_->storage; }
  int64_t offset() const { return impl_->offset; }
  bool is_contiguous() const { return impl_->contiguous; }
  size_t element_size() const { return dtype_size(dtype()); }
  size_t nbytes() const { return static_cast<size_t>(numel()) * element_size(); }

  // First element. The pointer is const-correct by convention only: kernels write outputs.
  void* data() const {
    return static_cast<char*>(impl_->storage->data()) +
           impl_->offset * static_cast<int64_t>(element_size());
  }
  template <class T>
  T* data_as() const {
    AG_ASSERT(dtype() == dtype_of<T>);
    return static_cast<T*>(data());
  }

  uint32_t version() const { return impl_->storage->version(); }
  void bump_version() const { impl_->storage->bump_version(); }

  // A new handle on the same storage without autograd state.
  Tensor alias() const;
  Tensor alias(Dims sizes, Dims strides, int64_t offset) const;

 private:
  IntrusivePtr<TensorImpl> impl_;
};

using TensorList = std::vector<Tensor>;

// "float32[2, 3]" for messages.
std::string describe(const Tensor& t);

// Number of tensor handles alive in the process, for leak tests.
int64_t live_tensor_count();

}  // namespace ampgrad
