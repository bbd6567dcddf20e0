// The launch of element-wise kernels (elementwise.h): promotion, broadcasting, the output and the
// overlap rules. Everything lives on the stack: this code runs for every small tensor.
#include <algorithm>

#include "ops/elementwise.h"
#include "ops/launch.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

constexpr DType kDefaultFloat = DType::Float32;

DType scalar_dtype(Scalar s) {
  return s.is_float() ? kDefaultFloat : (s.is_int() ? DType::Int64 : DType::Bool);
}

// The promoted dtype of each priority: tensors with dimensions, 0-d tensors, numbers.
struct PromotionState {
  bool has[3] = {false, false, false};
  DType dtype[3] = {DType::Bool, DType::Bool, DType::Bool};

  void offer(int priority, DType d) {
    dtype[priority] = has[priority] ? promote_types(dtype[priority], d) : d;
    has[priority] = true;
  }
  void offer(const Operand& o) {
    if (!o.is_tensor()) {
      offer(2, scalar_dtype(o.scalar()));
    } else if (o.tensor().impl()->wrapped_number) {
      const DType d = o.tensor().dtype();
      offer(2, is_floating(d) ? kDefaultFloat : d);
    } else {
      offer(o.tensor().ndim() == 0 ? 1 : 0, o.tensor().dtype());
    }
  }
  // A lower priority only matters when its category is higher.
  DType result() const {
    bool any = false;
    DType high = DType::Bool;
    for (int p = 0; p < 3; ++p) {
      if (!has[p]) continue;
      if (!any) {
        high = dtype[p];
        any = true;
      } else if (dtype_category(dtype[p]) > dtype_category(high)) {
        high = promote_types(high, dtype[p]);
      }
    }
    return high;
  }
};

template <class T>
Scalar read_as(const void* p) {
  const T v = *static_cast<const T*>(p);
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return Scalar(to_float(v));
  } else {
    return Scalar(v);
  }
}

Scalar read_number(const Tensor& t) {
  using Reader = Scalar (*)(const void*);
  static constexpr Reader kReaders[] = {
#define AG_READER(name, type, text) &read_as<type>,
      AG_FOR_EACH_DTYPE(AG_READER)
#undef AG_READER
  };
  return kReaders[static_cast<int>(t.dtype())](t.data());
}

// What a kernel call needs, without heap.
struct Launch {
  int num_inputs = 0;
  const Operand* in[kMaxElementwiseInputs];
  bool as_number[kMaxElementwiseInputs] = {};
  Device device;
  int ndim = 0;
  int64_t sizes[kMaxDims];
  int64_t strides[kMaxElementwiseInputs][kMaxDims];

  bool is_tensor(int j) const { return in[j]->is_tensor() && !as_number[j]; }
  DimsView shape() const { return DimsView(sizes, static_cast<size_t>(ndim)); }
};

// All tensors live on one device; a 0-d cpu tensor joins any device as a number.
void find_device(OpId op, Launch* l) {
  bool found = false;
  for (int j = 0; j < l->num_inputs; ++j) {
    if (!l->in[j]->is_tensor()) continue;
    const Tensor& t = l->in[j]->tensor();
    if (t.ndim() == 0 && t.device().is_cpu()) continue;
    AG_CHECK(!found || t.device() == l->device, Device, op_name(op),
             ": expected all tensors to be on the same device, but found at least two devices, ",
             to_string(l->device), " and ", to_string(t.device()));
    l->device = t.device();
    found = true;
  }
  if (l->device.is_cpu()) return;
  for (int j = 0; j < l->num_inputs; ++j) {
    l->as_number[j] = l->in[j]->is_tensor() && l->in[j]->tensor().device().is_cpu();
  }
}

void find_shape(OpId op, Launch* l) {
  const Tensor* widest = nullptr;
  for (int j = 0; j < l->num_inputs; ++j) {
    if (!l->is_tensor(j)) continue;
    const Tensor& t = l->in[j]->tensor();
    if (widest == nullptr || t.ndim() > widest->ndim()) widest = &t;
  }
  if (widest == nullptr) return;
  l->ndim = static_cast<int>(widest->ndim());
  std::copy(widest->sizes().begin(), widest->sizes().end(), l->sizes);
  for (int j = 0; j < l->num_inputs; ++j) {
    if (!l->is_tensor(j) || &l->in[j]->tensor() == widest) continue;
    const Dims& sizes = l->in[j]->tensor().sizes();
    const int shift = l->ndim - static_cast<int>(sizes.size());
    for (int d = 0; d < static_cast<int>(sizes.size()); ++d) {
      int64_t& common = l->sizes[d + shift];
      const int64_t own = sizes[static_cast<size_t>(d)];
      if (own == common || own == 1) continue;
      if (common != 1) broadcast_shapes(op_name(op), l->shape(), sizes);  // raises
      common = own;
    }
  }
}

const int64_t* strides_for(Launch* l, int j) {
  const Tensor& t = l->in[j]->tensor();
  const Dims& sizes = t.sizes();
  if (DimsView(sizes) == l->shape()) return t.strides().data();
  const int shift = l->ndim - static_cast<int>(sizes.size());
  int64_t* out = l->strides[j];
  for (int d = 0; d < l->ndim; ++d) {
    const bool own = d >= shift && sizes[static_cast<size_t>(d - shift)] != 1;
    out[d] = own ? t.strides()[static_cast<size_t>(d - shift)] : 0;
  }
  return out;
}

bool same_window(const Tensor& a, const Tensor& b) {
  return a.offset() == b.offset() && a.dtype() == b.dtype() && a.sizes() == b.sizes() &&
         a.strides() == b.strides();
}

// An input that looks at the written memory through another window must not change under the
// loop: it is read from a copy.
bool must_copy(const Tensor& out, const Tensor& in) {
  return in.storage() == out.storage() && in.numel() != 0 && !same_window(out, in);
}

void run_into(OpId op, DType compute, const Tensor& out, Launch* l, const Attrs& attrs) {
  ElementwiseParams p;
  p.compute = compute;
  p.ndim = l->ndim;
  p.sizes = l->sizes;
  p.numel = out.numel();
  p.out = {out.data(), out.dtype(), out.strides().data()};
  p.num_inputs = l->num_inputs;
  p.attrs = attrs;
  Tensor copies[kMaxElementwiseInputs];
  Operand replaced[kMaxElementwiseInputs];
  for (int j = 0; j < l->num_inputs; ++j) {
    if (!l->is_tensor(j)) {
      p.scalars[j] = l->in[j]->is_tensor() ? read_number(l->in[j]->tensor()) : l->in[j]->scalar();
      continue;
    }
    if (must_copy(out, l->in[j]->tensor())) {
      replaced[j] = Operand(contiguous_copy(l->in[j]->tensor()));
      l->in[j] = &replaced[j];
    }
    const Tensor& t = l->in[j]->tensor();
    p.in[j] = {t.data(), t.dtype(), strides_for(l, j)};
  }
  KernelTable::run(op, l->device, compute, p);
}

void check_target(OpId op, const Tensor& out) {
  AG_CHECK(is_non_overlapping(out.sizes(), out.strides()), Value, op_name(op),
           ": unsupported operation: more than one element of the written-to tensor refers to a "
           "single memory location. Please clone() the tensor before performing the operation.");
}

Tensor launch(OpId op, DType compute, DType out_dtype, Launch* l, const Attrs& attrs) {
  find_device(op, l);
  find_shape(op, l);
  if (OutputSlot* slot = OutputSlot::current(); AG_UNLIKELY(slot != nullptr)) {
    if (const Tensor* target = slot->take(l->shape(), out_dtype, l->device)) {
      check_target(op, *target);
      run_into(op, compute, *target, l, attrs);
      return *target;
    }
  }
  Tensor out = Tensor::empty(l->shape(), out_dtype, l->device);
  run_into(op, compute, out, l, attrs);
  return out;
}

Launch make_launch(Span<Operand> operands) {
  AG_ASSERT(operands.size() <= kMaxElementwiseInputs);
  Launch l;
  for (const Operand& o : operands) l.in[l.num_inputs++] = &o;
  return l;
}

DType output_dtype(ElementwiseRule rule, DType compute) {
  return rule == ElementwiseRule::Bool || rule == ElementwiseRule::Logical ? DType::Bool : compute;
}

Tensor launch_by_rule(OpId op, ElementwiseRule rule, Launch* l, const Attrs& attrs) {
  PromotionState state;
  for (int j = 0; j < l->num_inputs; ++j) state.offer(*l->in[j]);
  const DType compute = compute_dtype(op, rule, state.result());
  return launch(op, compute, output_dtype(rule, compute), l, attrs);
}

thread_local OutputSlot* current_slot = nullptr;

}  // namespace

DType result_type(Span<Operand> operands) {
  PromotionState state;
  for (const Operand& o : operands) state.offer(o);
  return state.result();
}

DType result_type(const Operand& a, const Operand& b) {
  PromotionState state;
  state.offer(a);
  state.offer(b);
  return state.result();
}

DType compute_dtype(OpId op, ElementwiseRule rule, DType promoted) {
  if (rule == ElementwiseRule::Logical) return DType::Bool;
  if (rule == ElementwiseRule::Float && !is_floating(promoted)) promoted = kDefaultFloat;
  AG_CHECK(op_def(op).dtypes.has(promoted), DType, op_name(op), ": not implemented for ",
           dtype_name(promoted));
  return promoted;
}

Tensor launch_unary(OpId op, ElementwiseRule rule, const Tensor& input, const Attrs& attrs) {
  const Operand operand(input);
  Launch l;
  l.num_inputs = 1;
  l.in[0] = &operand;
  return launch_by_rule(op, rule, &l, attrs);
}

Tensor launch_binary(OpId op, ElementwiseRule rule, const Operand& a, const Operand& b,
                     const Attrs& attrs) {
  Launch l;
  l.num_inputs = 2;
  l.in[0] = &a;
  l.in[1] = &b;
  return launch_by_rule(op, rule, &l, attrs);
}

Tensor launch_elementwise(OpId op, ElementwiseRule rule, Span<Operand> operands,
                          const Attrs& attrs) {
  Launch l = make_launch(operands);
  return launch_by_rule(op, rule, &l, attrs);
}

Tensor launch_elementwise_as(OpId op, DType compute, DType out_dtype, Span<Operand> operands,
                             const Attrs& attrs) {
  Launch l = make_launch(operands);
  return launch(op, compute, out_dtype, &l, attrs);
}

void launch_elementwise_into(OpId op, DType compute, const Tensor& out, Span<Operand> operands,
                             const Attrs& attrs) {
  Launch l = make_launch(operands);
  find_device(op, &l);
  find_shape(op, &l);
  AG_CHECK(DimsView(out.sizes()) == l.shape(), Shape, op_name(op), ": output with shape ",
           out.sizes(), " doesn't match the broadcast shape ", l.shape());
  check_target(op, out);
  run_into(op, compute, out, &l, attrs);
}

OutputSlot::OutputSlot(const Tensor& target, Use use)
    : target_(target), use_(use), previous_(current_slot) {
  current_slot = this;
}

OutputSlot::~OutputSlot() { current_slot = previous_; }

OutputSlot* OutputSlot::current() { return current_slot; }

// A mismatch leaves the target alone: the runtime reports it.
const Tensor* OutputSlot::take(DimsView sizes, DType natural, Device device) {
  if (taken_ || !target_.defined() || !(DimsView(target_.sizes()) == sizes) ||
      !(target_.device() == device)) {
    return nullptr;
  }
  if (in_place() ? !can_cast(natural, target_.dtype()) : natural != target_.dtype()) return nullptr;
  taken_ = true;
  return &target_;
}

Tensor empty_result(DimsView sizes, DType dtype, Device device) {
  OutputSlot* slot = OutputSlot::current();
  if (slot != nullptr && !slot->in_place() && slot->dense()) {
    if (const Tensor* target = slot->take(sizes, dtype, device)) return *target;
  }
  return Tensor::empty(sizes, dtype, device);
}

void check_declared(OpId op, const Tensor& input) {
  AG_CHECK(op_def(op).dtypes.has(input.dtype()), DType, op_name(op), ": not implemented for ",
           dtype_name(input.dtype()));
}

}  // namespace ampgrad
