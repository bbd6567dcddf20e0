#include <algorithm>

#include "ops/creation.h"
#include "ops/kernels.h"
#include "ops/optim.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

// "argument 'params[3]'"
std::string argument(const char* list, size_t i) {
  return std::string(": argument '") + list + "[" + std::to_string(i) + "]'";
}

class StepBuilder {
 public:
  StepBuilder(OpId op, const OptimLists& lists, const OptimSpec& spec)
      : op_(op), name_(op_name(op)), lists_(lists), spec_(spec), n_(lists.params.size()) {
    check_length("grads", lists.grads, 1, true);
    check_length("scalars", lists.scalars, spec.num_scalars, false);
    check_length("states", lists.states, spec.num_states, false);
    check_length("masters", lists.masters, 1, true);
    const size_t written = n_ * static_cast<size_t>(1 + spec.num_states);
    entries_.reserve(n_);
    ranges_.reserve(written);
    written_.reserve(written);
    for (size_t i = 0; i < n_; ++i) add(i);
    check_disjoint();
  }

  void run(OptimParams& p, const Tensor& grad_scale, const Tensor& found_inf) {
    // Almost always one group. Otherwise the tensors of each are brought together, in order.
    while (!entries_.empty()) {
      const DType dtype = entries_[0].dtype;
      const Device device = entries_[0].device;
      std::vector<OptimTensor> group;
      std::vector<Entry> rest;
      for (const Entry& e : entries_) {
        if (e.dtype == dtype && e.device == device) {
          group.push_back(e.tensor);
        } else {
          rest.push_back(e);
        }
      }
      p.dtype = dtype;
      p.tensors = group.data();
      p.num_tensors = static_cast<int64_t>(group.size());
      p.grad_scale = single_float("gradScale", grad_scale, device);
      p.found_inf = single_float("foundInf", found_inf, device);
      KernelTable::run(op_, device, dtype, p);
      entries_ = std::move(rest);
    }
    for (const auto& [target, copy] : write_backs_) copy_into(target, copy);
    for (const Tensor& t : written_) t.bump_version();
  }

  TensorList take_created() { return std::move(created_); }

 private:
  struct Entry {
    OptimTensor tensor;
    DType dtype;
    Device device;
  };

  void check_length(const char* list, const TensorList& l, int per_param, bool may_be_empty) const {
    const size_t expected = n_ * static_cast<size_t>(per_param);
    AG_CHECK(l.size() == expected || (may_be_empty && l.empty()), Value, name_, ": argument '",
             list, "' must have ", static_cast<int64_t>(expected), " elements for ",
             static_cast<int64_t>(n_), " parameters, got ", static_cast<int64_t>(l.size()));
  }

  const float* single_float(const char* arg, const Tensor& t, Device device) const {
    if (!t.defined()) return nullptr;
    AG_CHECK(t.numel() == 1 && t.dtype() == DType::Float32, Value, name_, ": argument '", arg,
             "' must be one float32 value, got ", describe(t));
    AG_CHECK(t.device() == device, Device, name_, ": argument '", arg, "' is on ",
             to_string(t.device()), " but the parameters are on ", to_string(device));
    return t.data_as<float>();
  }

  Tensor gradient(size_t i) const {
    if (!lists_.grads.empty()) return lists_.grads[i];
    const auto& autograd = lists_.params[i].impl()->autograd;
    const Tensor* grad = autograd ? autograd->accumulated_gradient() : nullptr;
    return grad == nullptr ? Tensor() : *grad;
  }

  void add(size_t i) {
    const Tensor& param = lists_.params[i];
    AG_CHECK(param.defined(), Type, name_, argument("params", i), " must be a Tensor, got null");
    AG_CHECK(is_floating(param.dtype()), DType, name_, argument("params", i),
             " must be of floating point dtype, got ", describe(param));
    const Tensor grad = gradient(i);
    if (!grad.defined()) return;
    AG_CHECK(is_non_overlapping(param.sizes(), param.strides()), Value, name_,
             argument("params", i), " has elements that share memory (shape ", param.sizes(),
             ", strides ", param.strides(), "); update a clone() of it instead");
    check_companion("grads", i, grad, param.sizes(), param.device());
    AG_CHECK(is_floating(grad.dtype()), DType, name_, argument("grads", i),
             " must be of floating point dtype, got ", describe(grad));

    Entry e{{}, param.dtype(), param.device()};
    e.tensor.numel = param.numel();
    add_scalars(i, &e.tensor);
    add_states(i, param, &e.tensor);
    const Tensor main = add_master(i, param, &e);
    e.tensor.param = writable(main).data();
    written_.push_back(main);
    const Tensor g = as_contiguous(grad);
    e.tensor.grad = g.data();
    e.tensor.grad_dtype = g.dtype();
    if (!g.is_same(grad)) kept_.push_back(g);
    if (param.numel() != 0 || spec_.num_scalars != 0) entries_.push_back(e);
  }

  void add_scalars(size_t i, OptimTensor* out) {
    for (int k = 0; k < spec_.num_scalars; ++k) {
      const size_t at = static_cast<size_t>(k) * n_ + i;
      Tensor t = lists_.scalars[at];
      const Device device = lists_.params[i].device();
      if (!t.defined()) {
        t = new_tensor(name_, DimsView(), DType::Float32, device);
        fill_tensor(t, Scalar(spec_.scalar_init[k]));
        note_created(at, t);
      }
      AG_CHECK(t.numel() == 1 && t.dtype() == DType::Float32 && t.device() == device, Value, name_,
               argument("scalars", at), " must be one float32 value on ", to_string(device),
               ", got ", describe(t), " on ", to_string(t.device()));
      out->scalars[k] = t.data_as<float>();
    }
  }

  // The shape of state k of a parameter; false when the parameter has no such state.
  bool state_sizes(int k, const Tensor& param, Dims* sizes) const {
    *sizes = param.sizes();
    if (!spec_.factored) return true;
    const size_t ndim = param.ndim();
    if (ndim < 2) return k == 2;
    if (k == 2) return false;
    (*sizes)[ndim - (k == 0 ? 1 : 2)] = 1;
    return true;
  }

  void add_states(size_t i, const Tensor& param, OptimTensor* out) {
    const DType dtype = opmath_dtype(param.dtype());
    if (spec_.factored && param.ndim() >= 2) {
      out->rows = param.size(-2);
      out->cols = param.size(-1);
    }
    for (int k = 0; k < spec_.num_states; ++k) {
      Dims sizes;
      if (!state_sizes(k, param, &sizes)) continue;
      const size_t at = static_cast<size_t>(k) * n_ + i;
      Tensor t = lists_.states[at];
      if (!t.defined()) {
        t = new_tensor(name_, sizes, dtype, param.device());
        fill_tensor(t, Scalar(spec_.state_init[k]));
        note_created(lists_.scalars.size() + at, t);
      }
      check_companion("states", at, t, sizes, param.device());
      AG_CHECK(t.dtype() == dtype, DType, name_, argument("states", at), " must have dtype ",
               dtype_name(dtype), ", got ", dtype_name(t.dtype()));
      AG_CHECK(is_non_overlapping(t.sizes(), t.strides()), Value, name_, argument("states", at),
               " has elements that share memory");
      out->states[spec_.slots[k]] = writable(t).data();
      written_.push_back(t);
    }
  }

  // The tensor the step works on: the parameter or its float32 master.
  Tensor add_master(size_t i, const Tensor& param, Entry* e) {
    if (lists_.masters.empty() || !is_low_precision(param.dtype())) return param;
    Tensor master = lists_.masters[i];
    if (!master.defined()) {
      master = contiguous_copy(as_dtype(param, DType::Float32));
      note_created(lists_.scalars.size() + lists_.states.size() + i, master);
    }
    check_companion("masters", i, master, param.sizes(), param.device());
    AG_CHECK(master.dtype() == DType::Float32, DType, name_, argument("masters", i),
             " must have dtype float32, got ", dtype_name(master.dtype()));
    AG_CHECK(is_non_overlapping(master.sizes(), master.strides()), Value, name_,
             argument("masters", i), " has elements that share memory");
    e->dtype = DType::Float32;
    e->tensor.model = writable(param).data();
    e->tensor.model_dtype = param.dtype();
    written_.push_back(param);
    return master;
  }

  void check_companion(const char* list, size_t i, const Tensor& t, DimsView sizes,
                       Device device) const {
    AG_CHECK(DimsView(t.sizes()) == sizes, Shape, name_, argument(list, i), " has shape ",
             t.sizes(), " but for its parameter it must have shape ", sizes);
    AG_CHECK(t.device() == device, Device, name_, argument(list, i), " is on ",
             to_string(t.device()), " but the parameter is on ", to_string(device));
  }

  // What a kernel may write: the tensor, or a contiguous copy that is written back afterwards.
  Tensor writable(const Tensor& t) {
    if (t.is_contiguous()) {
      ranges_.push_back({static_cast<const char*>(t.data()), t.nbytes()});
      return t;
    }
    const Tensor copy = contiguous_copy(t);
    write_backs_.emplace_back(t, copy);
    return copy;
  }

  // A kernel writes its tensors from several threads at once.
  void check_disjoint() {
    std::sort(ranges_.begin(), ranges_.end(),
              [](const Range& a, const Range& b) { return a.begin < b.begin; });
    const char* end = nullptr;
    for (const Range& r : ranges_) {
      if (r.bytes == 0) continue;
      AG_CHECK(end == nullptr || r.begin >= end, Value, name_,
               ": two of the tensors to update (parameters, states, masters) share memory");
      end = r.begin + r.bytes;
    }
  }

  void note_created(size_t at, const Tensor& t) {
    if (created_.empty()) {
      created_.resize(lists_.scalars.size() + lists_.states.size() + lists_.masters.size());
    }
    created_[at] = t;
  }

  struct Range {
    const char* begin;
    size_t bytes;
  };

  OpId op_;
  const char* name_;
  const OptimLists& lists_;
  const OptimSpec& spec_;
  size_t n_;
  std::vector<Entry> entries_;
  std::vector<Range> ranges_;
  std::vector<std::pair<Tensor, Tensor>> write_backs_;
  TensorList kept_;
  TensorList written_;
  TensorList created_;
};

}  // namespace

TensorList run_optim_step(OpId op, const OptimLists& lists, const OptimSpec& spec,
                          OptimParams& params, const Tensor& grad_scale, const Tensor& found_inf) {
  StepBuilder builder(op, lists, spec);
  builder.run(params, grad_scale, found_inf);
  return builder.take_created();
}

}  // namespace ampgrad
