// Building blocks of indexed reads and writes, shared by ops/indexing.cpp and ops/scatter.cpp:
// preparation of index tensors, the target of a write, the launch.
#pragma once

#include "ops/indexing_params.h"
#include "ops/op.h"
#include "ops/value.h"

namespace ampgrad {

// An index tensor as int64, after the checks on dtype and device.
Tensor index_tensor(const char* op, const Tensor& index, Device device);

// 0-d tensors take part in dimension-wise indexing like tensors of one element.
Tensor at_least_1d(const Tensor& t);

// A one-element tensor that reads as `sizes`.
Tensor broadcast_number(Scalar value, DimsView sizes, DType dtype, Device device);

// Reads from or writes to `data` at the positions that `index` names along `dim`, everywhere in the
// space of index.sizes(). Operands are at least 1-d; `other` is not smaller than the index.
void run_along(const char* op, IndexMode mode, const Tensor& data, int64_t dim, const Tensor& index,
               const Tensor& other);
// The same for a list of positions along `dim`: whole slices of `data` and `other`.
void run_slices(const char* op, IndexMode mode, const Tensor& data, int64_t dim,
                const Tensor& index, const Tensor& other);

// The sums of `values` over equal positions of the 1-d `index` along `dim`, in a new tensor of
// `sizes` that is 0 elsewhere: what indexAdd to zeros gives, written once. Without a gradient of
// its own. Undefined where there is no kernel for that: other devices, integers, slices that are
// short or not in one piece.
Tensor slice_sums(const char* op, DimsView sizes, int64_t dim, const Tensor& index,
                  const Tensor& values);

// Simplifies the iteration space and runs the kernel; nothing happens when the space is empty.
void launch_indexed(IndexedParams p, Device device);

// Where an op that changes a part of a tensor writes: the tensor itself in an in-place call,
// otherwise a copy. With another `work` dtype the changes are made in a converted copy, so that
// sums of half precision round once.
class WriteTarget {
 public:
  WriteTarget(OpId op, const Tensor& self, DType work);
  const Tensor& tensor() const { return work_; }
  // An operand that the write must not change while reading it, in dtype `work`.
  Tensor operand(const Tensor& t) const;
  // An index that the write must not change while reading it.
  Tensor apart(const Tensor& t) const;
  Tensor finish() const;

 private:
  const char* name_;
  Tensor target_;
  Tensor work_;
  bool in_place_ = false;
  DType dtype_;
};

// The dtype in which sums of `dtype` are kept.
DType accumulation_dtype(DType dtype);

}  // namespace ampgrad
