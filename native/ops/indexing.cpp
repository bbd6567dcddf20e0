// Indexing with tensors as in NumPy (index, indexPut), masks, nonzero, and what is made of them:
// take, put, oneHot, embedding.
#include <algorithm>

#include "ops/creation.h"
#include "ops/elementwise.h"
#include "ops/indexed.h"
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

bool is_mask(const Tensor& t) {
  return t.defined() && (t.dtype() == DType::Bool || t.dtype() == DType::UInt8);
}

// Coordinates of the true elements, one row each.
Tensor true_positions(const Tensor& mask) {
  const Tensor in = as_contiguous(mask);
  int64_t count = 0;
  NonzeroParams p;
  p.in = in.data();
  p.dtype = in.dtype();
  p.sizes = in.sizes();
  p.numel = in.numel();
  p.count = &count;
  KernelTable::run(OpId::nonzero, in.device(), in.dtype(), p);
  const Tensor out =
      Tensor::empty(Dims{count, static_cast<int64_t>(in.ndim())}, DType::Int64, in.device());
  p.out = out.data_as<int64_t>();
  if (out.numel() != 0) KernelTable::run(OpId::nonzero, in.device(), in.dtype(), p);
  return out;
}

// x with a list of int64 index tensors, one for each dimension at most; masks are expanded.
struct Plan {
  Tensor x;
  TensorList indices;  // one per dimension of x; undefined: the whole dimension
  Dims shape;          // of the broadcast index tensors
  Dims sizes;          // of the result
  size_t first = 0;    // where the index dimensions stand in the result
};

void add_mask(const char* op, Plan* plan, const Tensor& mask, size_t position) {
  size_t d = plan->indices.size();
  if (mask.ndim() == 0) {
    // A single truth value selects all or nothing along a new dimension.
    Dims sizes = plan->x.sizes();
    Dims strides = plan->x.strides();
    sizes.insert(d, 1);
    strides.insert(d, 0);
    plan->x = plan->x.alias(std::move(sizes), std::move(strides), plan->x.offset());
  }
  const Tensor m = at_least_1d(mask);
  AG_CHECK(d + m.ndim() <= plan->x.ndim(), Range, op, ": too many indices for tensor of dimension ",
           static_cast<int64_t>(plan->x.ndim()));
  for (size_t i = 0; i < m.ndim(); ++i) {
    AG_CHECK(m.sizes()[i] == plan->x.sizes()[d + i], Range, op, ": the shape of the mask ",
             mask.sizes(), " at index ", static_cast<int64_t>(position),
             " does not match the shape of the indexed tensor ", plan->x.sizes(), " at index ",
             static_cast<int64_t>(d + i));
  }
  const Tensor rows = true_positions(m);
  const auto width = static_cast<int64_t>(m.ndim());
  for (int64_t i = 0; i < width; ++i) {
    plan->indices.push_back(rows.alias(Dims{rows.size(0)}, Dims{width}, i));
  }
}

// The index dimensions stay in place when their tensors stand side by side, otherwise they lead.
void lay_out(Plan* plan) {
  const size_t n = plan->x.ndim();
  size_t first = n;
  size_t last = 0;
  size_t count = 0;
  for (size_t d = 0; d < n; ++d) {
    if (!plan->indices[d].defined()) continue;
    first = std::min(first, d);
    last = d;
    ++count;
  }
  const bool adjacent = last - first + 1 == count;
  plan->first = adjacent ? first : 0;
  for (size_t d = 0; d < n; ++d) {
    if (d == plan->first) {
      for (int64_t s : plan->shape) plan->sizes.push_back(s);
    }
    if (!plan->indices[d].defined()) plan->sizes.push_back(plan->x.sizes()[d]);
  }
}

Plan make_plan(const char* op, const Tensor& x, const TensorList& indices) {
  Plan plan;
  plan.x = x;
  bool any = false;
  for (size_t i = 0; i < indices.size(); ++i) {
    // Indices may come from the CPU; anywhere else they must be where the input is.
    const Tensor t = indices[i].defined() && indices[i].device().is_cpu()
                         ? to_device(indices[i], x.device())
                         : indices[i];
    any = any || t.defined();
    if (is_mask(t)) {
      AG_CHECK(t.device() == x.device(), Device, op,
               ": expected all tensors to be on the same device, got ", to_string(x.device()),
               " and ", to_string(t.device()));
      add_mask(op, &plan, t, i);
      continue;
    }
    AG_CHECK(plan.indices.size() < plan.x.ndim(), Range, op,
             ": too many indices for tensor of dimension ", static_cast<int64_t>(x.ndim()));
    AG_CHECK(!t.defined() || is_integral(t.dtype()), Type, op,
             ": tensors used as indices must be integers or bool, got ",
             t.defined() ? describe(t) : std::string());
    plan.indices.push_back(t.defined() ? index_tensor(op, t, x.device()) : Tensor());
  }
  AG_CHECK(any, Value, op, ": argument 'indices' must hold at least one tensor");
  plan.indices.resize(plan.x.ndim());
  for (const Tensor& t : plan.indices) {
    if (t.defined()) plan.shape = broadcast_shapes(op, plan.shape, t.sizes());
  }
  lay_out(&plan);
  check_sizes(op, plan.sizes, x.element_size());
  return plan;
}

// The launch over the result's shape. `other` is the result, or values broadcast to its shape.
void run_plan(const char* op, IndexMode mode, const Plan& plan, const Tensor& other) {
  IndexedParams p;
  p.op = op;
  p.dtype = plan.x.dtype();
  p.mode = mode;
  p.negative = true;
  p.sizes = plan.sizes;
  p.data = plan.x.data();
  p.data_strides = Dims(plan.sizes.size(), 0);
  p.other = other.data();
  p.other_strides = broadcast_strides(other.sizes(), other.strides(), plan.sizes);
  size_t to = plan.first == 0 ? plan.shape.size() : 0;
  for (size_t d = 0; d < plan.x.ndim(); ++d) {
    if (to == plan.first && plan.first != 0) to += plan.shape.size();
    const Tensor& t = plan.indices[d];
    if (!t.defined()) {
      p.data_strides[to++] = plan.x.strides()[d];
      continue;
    }
    IndexArg arg;
    arg.data = t.data_as<int64_t>();
    arg.strides = Dims(plan.sizes.size(), 0);
    const Dims strides = broadcast_strides(t.sizes(), t.strides(), plan.shape);
    for (size_t i = 0; i < strides.size(); ++i) arg.strides[plan.first + i] = strides[i];
    arg.size = plan.x.sizes()[d];
    arg.stride = plan.x.strides()[d];
    arg.dim = static_cast<int64_t>(d);
    p.indices.push_back(std::move(arg));
  }
  launch_indexed(std::move(p), plan.x.device());
}

Tensor broadcast_mask(const char* op, const Tensor& input, const Tensor& mask) {
  AG_CHECK(mask.dtype() == DType::Bool, DType, op, ": argument 'mask' must be a bool tensor, got ",
           describe(mask));
  return ops::expand(mask, broadcast_shapes(op, input.sizes(), mask.sizes()));
}

}  // namespace

namespace impl {

Tensor index(const Tensor& input, const TensorList& indices) {
  const Plan plan = make_plan("index", input, indices);
  const Tensor out = Tensor::empty(plan.sizes, input.dtype(), input.device());
  run_plan("index", IndexMode::Read, plan, out);
  return out;
}

Tensor indexPut(const Tensor& input, const TensorList& indices, const Tensor& values,
                bool accumulate) {
  constexpr const char* kName = "indexPut";
  AG_CHECK(values.dtype() == input.dtype(), DType, kName, ": argument 'values' must have dtype ",
           dtype_name(input.dtype()), " like the input, got ", dtype_name(values.dtype()));
  AG_CHECK(values.device() == input.device(), Device, kName,
           ": expected all tensors to be on the same device, got ", to_string(input.device()),
           " and ", to_string(values.device()));
  const WriteTarget target(OpId::indexPut, input,
                           accumulate ? accumulation_dtype(input.dtype()) : input.dtype());
  Plan plan = make_plan(kName, target.tensor(), indices);
  for (Tensor& t : plan.indices) {
    if (t.defined()) t = target.apart(t);
  }
  AG_CHECK(can_broadcast_to(values.sizes(), plan.sizes), Shape, kName, ": argument 'values' of ",
           "shape ", values.sizes(), " cannot be broadcast to the indexing result of shape ",
           plan.sizes);
  run_plan(kName, accumulate ? IndexMode::Add : IndexMode::Assign, plan, target.operand(values));
  return target.finish();
}

Tensor maskedFill(const Tensor& input, const Tensor& mask, const Operand& value) {
  AG_CHECK(mask.dtype() == DType::Bool, DType,
           "maskedFill: argument 'mask' must be a bool tensor, ", "got ", describe(mask));
  if (value.is_tensor()) {
    AG_CHECK(value.tensor().ndim() == 0, Shape,
             "maskedFill: argument 'value' must be a number or a 0-dim tensor, got ",
             describe(value.tensor()));
    AG_CHECK(can_cast(value.tensor().dtype(), input.dtype()), DType,
             "maskedFill: argument 'value' of dtype ", dtype_name(value.tensor().dtype()),
             " cannot be cast to the input's dtype ", dtype_name(input.dtype()));
  } else {
    check_scalar_fits("maskedFill", "value", value.scalar(), input.dtype());
  }
  const Operand operands[] = {Operand(mask), value, Operand(input)};
  return launch_elementwise_as(OpId::where, input.dtype(), input.dtype(),
                               Span<Operand>(operands, 3));
}

Tensor maskedSelect(const Tensor& input, const Tensor& mask) {
  const Tensor m = broadcast_mask("maskedSelect", input, mask);
  return ops::index(ops::expand(input, m.sizes()), TensorList{m});
}

Tensor maskedScatter(const Tensor& input, const Tensor& mask, const Tensor& source) {
  AG_CHECK(source.dtype() == input.dtype(), DType,
           "maskedScatter: expected input and source to have the same dtype, got ",
           dtype_name(input.dtype()), " and ", dtype_name(source.dtype()));
  const Tensor m = broadcast_mask("maskedScatter", input, mask);
  const Tensor rows = true_positions(m);
  const int64_t count = rows.size(0);
  AG_CHECK(count <= source.numel(), Value, "maskedScatter: expected argument 'source' to have at ",
           "least ", count, " elements, the number of true values of the mask, got ",
           source.numel());
  const Tensor x = ops::expand(input, m.sizes());
  TensorList indices;
  for (int64_t d = 0; d < rows.size(1); ++d) indices.push_back(ops::select(rows, 1, d));
  const Tensor values = ops::narrow(ops::reshape(source, Dims{source.numel()}), 0, 0, count);
  // Without dimensions there is nothing to index.
  if (indices.empty()) return ops::where(m, count == 0 ? x : ops::reshape(values, Dims()), x);
  return ops::indexPut(x, indices, values, false);
}

Tensor take(const Tensor& input, const Tensor& index) {
  AG_CHECK(is_integral(index.dtype()), DType, "take: argument 'index' must hold integers, got ",
           describe(index));
  return ops::index(ops::reshape(input, Dims{input.numel()}),
                    TensorList{ops::to(index, DType::Int64)});
}

namespace {

// Positions counted from the end become ordinary ones; what is out of range stays so.
Tensor from_start(const Tensor& indices, int64_t size) {
  const Tensor at = ops::to(indices, DType::Int64);
  return ops::where(ops::lt(at, Operand(0)), ops::add(at, Operand(size)), at);
}

}  // namespace

Tensor takeAlongDim(const Tensor& input, const Tensor& indices, std::optional<int64_t> dim) {
  AG_CHECK(is_integral(indices.dtype()), DType,
           "takeAlongDim: argument 'indices' must hold integers, got ", describe(indices));
  if (!dim.has_value()) {
    return ops::gather(ops::reshape(input, Dims{input.numel()}), 0,
                       from_start(ops::reshape(indices, Dims{indices.numel()}), input.numel()),
                       false);
  }
  AG_CHECK(input.ndim() == indices.ndim(), Shape,
           "takeAlongDim: input and indices should have the same number of dimensions, but got ",
           static_cast<int64_t>(input.ndim()), " dimensions for input, and ",
           static_cast<int64_t>(indices.ndim()), " dimensions for indices");
  const auto d = static_cast<size_t>(wrap_dim("takeAlongDim", *dim, input.ndim()));
  Dims a = input.sizes();
  Dims b = indices.sizes();
  if (!a.empty()) a[d] = b[d] = 1;
  const Dims common = broadcast_shapes("takeAlongDim", a, b);
  a = b = common;
  if (!a.empty()) {
    a[d] = input.sizes()[d];
    b[d] = indices.sizes()[d];
  }
  const Tensor at = from_start(indices, input.ndim() == 0 ? 1 : input.sizes()[d]);
  return ops::gather(ops::expand(input, a), static_cast<int64_t>(d), ops::expand(at, b), false);
}

Tensor put(const Tensor& input, const Tensor& index, const Tensor& source, bool accumulate) {
  AG_CHECK(is_integral(index.dtype()), DType, "put: argument 'index' must hold integers, got ",
           describe(index));
  AG_CHECK(index.numel() == source.numel(), Shape,
           "put: expected source and index to have the same number of elements, got ",
           source.numel(), " and ", index.numel());
  const Tensor flat = ops::reshape(input, Dims{input.numel()});
  const Tensor at = ops::to(ops::reshape(index, Dims{index.numel()}), DType::Int64);
  const Tensor out =
      ops::indexPut(flat, TensorList{at}, ops::reshape(source, Dims{source.numel()}), accumulate);
  return ops::reshape(out, input.sizes());
}

Tensor nonzero(const Tensor& input) { return true_positions(input); }

Tensor oneHot(const Tensor& input, int64_t num_classes) {
  AG_CHECK(is_integral(input.dtype()), DType,
           "oneHot: is only applicable to index tensors of an integer dtype, got ",
           describe(input));
  AG_CHECK(num_classes >= -1 && (num_classes > 0 || input.numel() > 0 || num_classes == -1), Value,
           "oneHot: argument 'numClasses' must be positive or -1, got ", num_classes);
  if (num_classes == -1) {
    AG_CHECK(input.numel() > 0, Value,
             "oneHot: can not infer total number of classes from empty tensor");
    const Tensor highest = ops::to(ops::amax(input), DType::Int64);
    num_classes = first_value<int64_t>(highest) + 1;
  }
  if (input.numel() > 0) {
    const Tensor lowest = ops::to(ops::amin(input), DType::Int64);
    AG_CHECK(first_value<int64_t>(lowest) >= 0, Value,
             "oneHot: class values must be non-negative, ", "got ", first_value<int64_t>(lowest));
    const Tensor highest = ops::to(ops::amax(input), DType::Int64);
    AG_CHECK(first_value<int64_t>(highest) < num_classes, Value,
             "oneHot: class values must be smaller than numClasses ", num_classes, ", got ",
             first_value<int64_t>(highest));
  }
  Dims sizes = input.sizes();
  sizes.push_back(num_classes);
  check_sizes("oneHot", sizes, sizeof(int64_t));
  const Tensor zeros = ops::zeros(sizes, DType::Int64, input.device());
  return ops::scatter(zeros, -1, ops::unsqueeze(input, -1), Operand(int64_t{1}), std::nullopt);
}

namespace {

// Rows of `weight` that are looked up and longer than `max_norm` are scaled down, in place.
void renormalize_rows(const Tensor& weight, const Tensor& rows, double max_norm, double norm_type) {
  // A handle without autograd state: the change is not recorded, but counts as a new version.
  const Tensor table = weight.alias();
  const Tensor found = ops::indexSelect(table, 0, rows);
  const Tensor norms = ops::pow(
      Operand(ops::sum(ops::pow(Operand(ops::abs(found)), Operand(norm_type)), Dims{1}, true)),
      Operand(1.0 / norm_type));
  const Tensor scale =
      ops::where(ops::gt(norms, Operand(max_norm)),
                 ops::div(Operand(max_norm), ops::add(norms, Operand(1e-7))), Operand(1.0));
  Values args{Value(table), Value(int64_t{0}), Value(rows), Value(ops::mul(found, scale))};
  call_op_inplace(op_def(OpId::indexCopy), args);
}

}  // namespace

Tensor embeddingLookup(const Tensor& weight, const Tensor& indices, int64_t, bool) {
  AG_CHECK(weight.ndim() == 2, Shape, "embedding: argument 'weight' must be 2-D, got ",
           describe(weight));
  Dims sizes = indices.sizes();
  sizes.push_back(weight.size(1));
  const Tensor at = as_contiguous(index_tensor("embedding", indices, weight.device()));
  const Tensor flat = at.alias(Dims{at.numel()}, Dims{1}, at.offset());
  Dims rows{at.numel(), weight.size(1)};
  check_sizes("embedding", rows, weight.element_size());
  const Tensor out = Tensor::empty(rows, weight.dtype(), weight.device());
  run_slices("embedding", IndexMode::Read, weight, 0, flat, out);
  Dims strides = contiguous_strides(sizes);
  return out.alias(std::move(sizes), std::move(strides), 0);
}

Tensor embedding(const Tensor& input, const Tensor& weight, std::optional<int64_t> padding_idx,
                 std::optional<double> max_norm, double norm_type, bool scale_grad_by_freq,
                 bool sparse) {
  AG_CHECK(!sparse, NotImplemented, "embedding: sparse gradients are not supported");
  AG_CHECK(weight.ndim() == 2, Shape, "embedding: argument 'weight' must be 2-D, got ",
           describe(weight));
  AG_CHECK(is_integral(input.dtype()), DType,
           "embedding: argument 'input' must hold integers, got ", describe(input));
  const int64_t rows = weight.size(0);
  int64_t padding = -1;
  if (padding_idx.has_value()) {
    AG_CHECK(*padding_idx >= -rows && *padding_idx < rows, Range,
             "embedding: argument 'paddingIdx' must be within the number of embeddings ", rows,
             ", got ", *padding_idx);
    padding = *padding_idx < 0 ? *padding_idx + rows : *padding_idx;
  }
  if (max_norm.has_value() && input.numel() != 0) {
    const Tensor flat = ops::to(ops::reshape(input, Dims{input.numel()}), DType::Int64);
    renormalize_rows(weight, flat, *max_norm, norm_type);
  }
  return ops::embeddingLookup(weight, input, padding, scale_grad_by_freq);
}

}  // namespace impl
}  // namespace ampgrad
