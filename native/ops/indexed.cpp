#include "ops/indexed.h"

#include "ops/creation.h"
#include "ops/elementwise.h"
#include "ops/shape_ops.h"

namespace ampgrad {

Tensor index_tensor(const char* op, const Tensor& index, Device device) {
  AG_CHECK(is_integral(index.dtype()), DType, op,
           ": argument 'index' must be a tensor of integers, got ", describe(index));
  AG_CHECK(index.device() == device, Device, op,
           ": expected all tensors to be on the same device, got ", to_string(device), " and ",
           to_string(index.device()));
  return as_dtype(index, DType::Int64);
}

Tensor at_least_1d(const Tensor& t) {
  return t.ndim() == 0 ? t.alias(Dims{1}, Dims{1}, t.offset()) : t;
}

Tensor broadcast_number(Scalar value, DimsView sizes, DType dtype, Device device) {
  const Tensor one = Tensor::empty({}, dtype, device);
  fill_tensor(one, value);
  return one.alias(Dims(sizes), Dims(sizes.size(), 0), 0);
}

namespace {

struct Operands {
  explicit Operands(IndexedParams& p) {
    all[0] = &p.data_strides;
    all[1] = &p.other_strides;
    for (IndexArg& a : p.indices) more.push_back(&a.strides);
  }
  template <class F>
  bool every(const F& f) const {
    for (const Dims* s : all) {
      if (!f(*s)) return false;
    }
    for (const Dims* s : more) {
      if (!f(*s)) return false;
    }
    return true;
  }
  template <class F>
  void each(const F& f) const {
    for (Dims* s : all) f(*s);
    for (Dims* s : more) f(*s);
  }

  Dims* all[2];
  std::vector<Dims*> more;
};

// Drops dimensions of size 1 and merges neighbours that every operand walks through at one step.
void simplify(IndexedParams* p) {
  const Operands operands(*p);
  size_t kept = 0;
  for (size_t d = 0; d < p->sizes.size(); ++d) {
    const int64_t size = p->sizes[d];
    if (size == 1) continue;
    const bool merges =
        kept != 0 && operands.every([&](const Dims& s) { return s[kept - 1] == s[d] * size; });
    const size_t to = merges ? kept - 1 : kept;
    p->sizes[to] = merges ? p->sizes[to] * size : size;
    operands.each([&](Dims& s) { s[to] = s[d]; });
    if (!merges) ++kept;
  }
  if (kept == 0) {
    p->sizes.resize(1, 1);
    p->sizes[0] = 1;
    operands.each([](Dims& s) { s.resize(1, 0); });
    return;
  }
  p->sizes.resize(kept);
  operands.each([&](Dims& s) { s.resize(kept); });
}

}  // namespace

void launch_indexed(IndexedParams p, Device device) {
  if (element_count(p.sizes) == 0) return;
  simplify(&p);
  KernelTable::run(p.mode == IndexMode::Read ? OpId::index : OpId::indexPut, device, p.dtype, p);
}

void run_along(const char* op, IndexMode mode, const Tensor& data, int64_t dim, const Tensor& index,
               const Tensor& other) {
  const auto d = static_cast<size_t>(dim);
  IndexedParams p;
  p.op = op;
  p.dtype = data.dtype();
  p.mode = mode;
  p.sizes = index.sizes();
  p.data = data.data();
  p.data_strides = data.strides();
  p.data_strides[d] = 0;
  p.other = other.data();
  p.other_strides = other.strides();
  IndexArg arg;
  arg.data = index.data_as<int64_t>();
  arg.strides = index.strides();
  arg.size = data.sizes()[d];
  arg.stride = data.strides()[d];
  arg.dim = dim;
  p.indices.push_back(std::move(arg));
  launch_indexed(std::move(p), data.device());
}

void run_slices(const char* op, IndexMode mode, const Tensor& data, int64_t dim,
                const Tensor& index, const Tensor& other) {
  const auto d = static_cast<size_t>(dim);
  Dims sizes = data.sizes();
  Dims strides(sizes.size(), 0);
  sizes[d] = index.numel();
  strides[d] = index.ndim() == 0 ? 1 : index.strides()[0];
  const Tensor positions = index.alias(std::move(sizes), std::move(strides), index.offset());
  run_along(op, mode, data, dim, positions, other);
}

Tensor slice_sums(const char* op, DimsView sizes, int64_t dim, const Tensor& index,
                  const Tensor& values) {
  constexpr size_t kShort = 64;  // bytes
  if (sizes.empty()) return Tensor();
  const auto d = static_cast<size_t>(wrap_dim(op, dim, sizes.size()));
  const int64_t size = element_count(sizes.slice(d + 1, sizes.size() - d - 1));
  const bool fits = values.device().is_cpu() && is_floating(values.dtype()) && index.ndim() == 1 &&
                    element_count(sizes.slice(0, d)) == 1 &&
                    values.numel() == index.numel() * size &&
                    static_cast<size_t>(size) * values.element_size() >= kShort;
  if (!fits) return Tensor();
  const Tensor positions = index_tensor(op, index, values.device());
  const Tensor dense = as_contiguous(values);
  Tensor out = Tensor::empty(sizes, values.dtype(), values.device());
  IndexedParams p;
  p.op = op;
  p.dtype = values.dtype();
  p.mode = IndexMode::Add;
  p.fresh = true;
  p.sizes = Dims{positions.numel(), size};
  p.data = out.data();
  p.data_strides = Dims{0, 1};
  p.other = dense.data();
  p.other_strides = Dims{size, 1};
  p.indices.push_back({.data = positions.data_as<int64_t>(),
                       .strides = Dims{positions.strides()[0], 0},
                       .size = sizes[d],
                       .stride = size,
                       .dim = static_cast<int64_t>(d)});
  KernelTable::run(OpId::indexPut, out.device(), out.dtype(), p);
  return out;
}

WriteTarget::WriteTarget(OpId op, const Tensor& self, DType work)
    : name_(op_name(op)), dtype_(self.dtype()) {
  if (OutputSlot* slot = OutputSlot::current(); slot != nullptr && slot->in_place()) {
    if (const Tensor* t = slot->take(self.sizes(), self.dtype(), self.device()); t != nullptr) {
      AG_CHECK(is_non_overlapping(t->sizes(), t->strides()), Value, name_,
               "_: unsupported operation: more than one element of the written-to tensor refers to "
               "a single memory location. Please clone() the tensor before performing the "
               "operation");
      target_ = *t;
      in_place_ = true;
    }
  }
  if (work != dtype_) {
    work_ = as_dtype(self, work);
  } else {
    work_ = in_place_ ? target_ : contiguous_copy(self);
  }
}

Tensor WriteTarget::apart(const Tensor& t) const {
  return t.storage() == work_.storage() ? contiguous_copy(t) : t;
}

Tensor WriteTarget::operand(const Tensor& t) const { return apart(as_dtype(t, work_.dtype())); }

Tensor WriteTarget::finish() const {
  if (work_.dtype() == dtype_) return work_;
  if (!in_place_) return as_dtype(work_, dtype_);
  copy_into(target_, work_);
  return target_;
}

DType accumulation_dtype(DType dtype) { return opmath_dtype(dtype); }

}  // namespace ampgrad
