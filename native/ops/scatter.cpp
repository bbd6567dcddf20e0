// Reads and writes along one dimension: gather and scatter with an index for every element,
// indexSelect and its kin with one for every slice. PyTorch's rules for shapes; the loop is
// launch_indexed.
#include <limits>

#include "ops/creation.h"
#include "ops/elementwise.h"
#include "ops/indexed.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

// Number of dimensions and sizes of an index against the tensors it is used with. `other` may be
// undefined.
void check_along(const char* op, const Tensor& x, int64_t dim, const Tensor& index,
                 const Tensor& other) {
  const Tensor data = at_least_1d(x);
  const Tensor at = at_least_1d(index);
  if (index.numel() == 0) return;
  AG_CHECK(at.ndim() == data.ndim(), Shape, op,
           ": argument 'index' must have the same number of dimensions as the input, got ",
           index.sizes(), " and ", x.sizes());
  for (size_t d = 0; d < data.ndim(); ++d) {
    AG_CHECK(static_cast<int64_t>(d) == dim || at.sizes()[d] <= data.sizes()[d], Shape, op,
             ": expected argument 'index' ", index.sizes(), " to be no larger than the input ",
             x.sizes(), " apart from dimension ", dim);
  }
  if (!other.defined()) return;
  const Tensor src = at_least_1d(other);
  AG_CHECK(src.ndim() == data.ndim(), Shape, op,
           ": argument 'src' must have the same number of dimensions as the input, got ",
           other.sizes(), " and ", x.sizes());
  for (size_t d = 0; d < data.ndim(); ++d) {
    AG_CHECK(at.sizes()[d] <= src.sizes()[d], Shape, op, ": expected argument 'index' ",
             index.sizes(), " to be no larger than 'src' ", other.sizes());
  }
}

void check_same_dtype(const char* op, const char* argument, const Tensor& x, const Tensor& other) {
  AG_CHECK(x.dtype() == other.dtype(), DType, op, ": argument '", argument, "' must have dtype ",
           dtype_name(x.dtype()), " like the input, got ", dtype_name(other.dtype()));
  AG_CHECK(x.device() == other.device(), Device, op,
           ": expected all tensors to be on the same device, got ", to_string(x.device()), " and ",
           to_string(other.device()));
}

Tensor index_vector(const char* op, const Tensor& x, const Tensor& index) {
  AG_CHECK(index.ndim() <= 1, Shape, op, ": argument 'index' must be a vector, got ",
           describe(index));
  return at_least_1d(index_tensor(op, index, x.device()));
}

// `source` must fit the slices of x that `index` names.
void check_slices(const char* op, const Tensor& x, int64_t dim, const Tensor& index,
                  const Tensor& source) {
  const Tensor data = at_least_1d(x);
  const Tensor src = at_least_1d(source);
  AG_CHECK(src.ndim() == data.ndim(), Shape, op, ": argument 'source' must have ",
           static_cast<int64_t>(x.ndim()), " dimensions like the input, got ", source.sizes());
  for (size_t d = 0; d < data.ndim(); ++d) {
    const int64_t wanted = static_cast<int64_t>(d) == dim ? index.numel() : data.sizes()[d];
    AG_CHECK(src.sizes()[d] == wanted, Shape, op, ": expected argument 'source' to have size ",
             wanted, " at dimension ", static_cast<int64_t>(d), ", got shape ", source.sizes());
  }
}

enum class Reduce : uint8_t { Sum, Prod, Mean, Amax, Amin };

Reduce parse_reduce(const char* op, const std::string& text, bool is_index_reduce) {
  if (text == "sum" && !is_index_reduce) return Reduce::Sum;
  if (text == "prod") return Reduce::Prod;
  if (text == "mean") return Reduce::Mean;
  if (text == "amax") return Reduce::Amax;
  if (text == "amin") return Reduce::Amin;
  AG_FAIL(Value, op, ": argument 'reduce' must be ", is_index_reduce ? "" : "'sum', ",
          "'prod', 'mean', 'amax' or 'amin', got '", text, "'");
}

IndexMode mode_of(Reduce r) {
  switch (r) {
    case Reduce::Prod:
      return IndexMode::Multiply;
    case Reduce::Amax:
      return IndexMode::Amax;
    case Reduce::Amin:
      return IndexMode::Amin;
    default:
      return IndexMode::Add;
  }
}

// What leaves the other operand unchanged.
Scalar identity_of(Reduce r, DType dtype) {
  if (r == Reduce::Prod) return Scalar(int64_t{1});
  if (r == Reduce::Sum || r == Reduce::Mean) return Scalar(int64_t{0});
  const bool lowest = r == Reduce::Amax;
  if (is_floating(dtype)) {
    const double infinity = std::numeric_limits<double>::infinity();
    return Scalar(lowest ? -infinity : infinity);
  }
  if (dtype == DType::Bool) return Scalar(!lowest);
  const int bits = static_cast<int>(8 * dtype_size(dtype));
  if (dtype == DType::UInt8) return Scalar(int64_t{lowest ? 0 : 255});
  const int64_t highest = static_cast<int64_t>((uint64_t{1} << (bits - 1)) - 1);
  return Scalar(lowest ? -highest - 1 : highest);
}

// sums / how many values went into them; integers round down.
void divide_by_counts(const char* op, const Tensor& sums, int64_t dim, const Tensor& index,
                      bool include_self) {
  const Tensor counts = Tensor::empty(sums.sizes(), sums.dtype(), sums.device());
  fill_tensor(counts, Scalar(int64_t{include_self ? 1 : 0}));
  run_along(op, IndexMode::Add, counts, dim, index,
            broadcast_number(Scalar(int64_t{1}), index.sizes(), sums.dtype(), sums.device()));
  const Operand bounded[] = {Operand(counts), Operand(int64_t{1})};
  const Tensor divisor =
      launch_elementwise_as(OpId::maximum, sums.dtype(), sums.dtype(), Span<Operand>(bounded, 2));
  const Operand operands[] = {Operand(sums), Operand(divisor)};
  const OpId division = is_floating(sums.dtype()) ? OpId::div : OpId::floorDivide;
  copy_into(sums, launch_elementwise_as(division, sums.dtype(), sums.dtype(),
                                        Span<Operand>(operands, 2)));
}

Tensor scatter_write(OpId op, IndexMode mode, const Tensor& x, int64_t dim, const Tensor& index,
                     const Operand& src) {
  const char* name = op_name(op);
  dim = wrap_dim(name, dim, x.ndim());
  check_along(name, x, dim, index, src.is_tensor() ? src.tensor() : Tensor());
  if (src.is_tensor()) check_same_dtype(name, "src", x, src.tensor());
  const bool sums = mode == IndexMode::Add || mode == IndexMode::Multiply;
  const WriteTarget target(op, x, sums ? accumulation_dtype(x.dtype()) : x.dtype());
  const Tensor at = target.apart(at_least_1d(index_tensor(name, index, x.device())));
  if (index.numel() == 0) return target.finish();
  const Tensor out = at_least_1d(target.tensor());
  const Tensor from = src.is_tensor()
                          ? at_least_1d(target.operand(src.tensor()))
                          : broadcast_number(src.scalar(), at.sizes(), out.dtype(), out.device());
  run_along(name, mode, out, dim, at, from);
  return target.finish();
}

Tensor slice_write(OpId op, IndexMode mode, const Tensor& x, int64_t dim, const Tensor& index,
                   const Tensor& source, Scalar alpha) {
  const char* name = op_name(op);
  dim = wrap_dim(name, dim, x.ndim());
  const Tensor given = index_vector(name, x, index);
  check_slices(name, x, dim, given, source);
  check_same_dtype(name, "source", x, source);
  const WriteTarget target(op, x,
                           mode == IndexMode::Add ? accumulation_dtype(x.dtype()) : x.dtype());
  const Tensor at = target.apart(given);
  Tensor from = at_least_1d(target.operand(source));
  if (!(alpha == Scalar(int64_t{1}))) {
    const Operand operands[] = {Operand(from), Operand(alpha)};
    from = launch_elementwise_as(OpId::mul, from.dtype(), from.dtype(), Span<Operand>(operands, 2));
  }
  run_slices(name, mode, at_least_1d(target.tensor()), dim, at, from);
  return target.finish();
}

}  // namespace

namespace impl {

Tensor indexSelect(const Tensor& input, int64_t dim, const Tensor& index) {
  dim = wrap_dim("indexSelect", dim, input.ndim());
  const Tensor at = index_vector("indexSelect", input, index);
  AG_CHECK(input.ndim() > 0 || at.numel() == 1, Shape,
           "indexSelect: argument 'index' must have one element for a 0-d input, got ",
           describe(index));
  const Tensor data = at_least_1d(input);
  Dims sizes = data.sizes();
  sizes[static_cast<size_t>(dim)] = at.numel();
  check_sizes("indexSelect", sizes, input.element_size());
  const Tensor out = Tensor::empty(sizes, input.dtype(), input.device());
  run_slices("indexSelect", IndexMode::Read, data, dim, at, out);
  return input.ndim() == 0 ? out.alias(Dims(), Dims(), 0) : out;
}

Tensor gather(const Tensor& input, int64_t dim, const Tensor& index, bool) {
  dim = wrap_dim("gather", dim, input.ndim());
  check_along("gather", input, dim, index, Tensor());
  const Tensor at = index_tensor("gather", index, input.device());
  const Tensor out = Tensor::empty(index.sizes(), input.dtype(), input.device());
  if (out.numel() == 0) return out;
  run_along("gather", IndexMode::Read, at_least_1d(input), dim, at_least_1d(at), at_least_1d(out));
  return out;
}

Tensor scatter(const Tensor& input, int64_t dim, const Tensor& index, const Operand& src,
               std::optional<std::string> reduce) {
  IndexMode mode = IndexMode::Assign;
  if (reduce.has_value()) {
    AG_CHECK(*reduce == "add" || *reduce == "multiply", Value,
             "scatter: argument 'reduce' must be null, 'add' or 'multiply', got '", *reduce, "'");
    mode = *reduce == "add" ? IndexMode::Add : IndexMode::Multiply;
  }
  if (!src.is_tensor()) check_scalar_fits("scatter", "src", src.scalar(), input.dtype());
  return scatter_write(OpId::scatter, mode, input, dim, index, src);
}

Tensor scatterAdd(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& src) {
  return scatter_write(OpId::scatterAdd, IndexMode::Add, input, dim, index, Operand(src));
}

Tensor scatterReduce(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& src,
                     const std::string& reduce, bool include_self) {
  constexpr const char* kName = "scatterReduce";
  const Reduce r = parse_reduce(kName, reduce, false);
  dim = wrap_dim(kName, dim, input.ndim());
  check_along(kName, input, dim, index, src);
  check_same_dtype(kName, "src", input, src);
  const bool sums = r != Reduce::Amax && r != Reduce::Amin;
  const WriteTarget target(OpId::scatterReduce, input,
                           sums ? accumulation_dtype(input.dtype()) : input.dtype());
  const Tensor at = target.apart(at_least_1d(index_tensor(kName, index, input.device())));
  const Tensor from = at_least_1d(target.operand(src));
  if (index.numel() == 0) return target.finish();
  const Tensor out = at_least_1d(target.tensor());
  if (!include_self) {
    run_along(kName, IndexMode::Assign, out, dim, at,
              broadcast_number(identity_of(r, out.dtype()), at.sizes(), out.dtype(), out.device()));
  }
  run_along(kName, mode_of(r), out, dim, at, from);
  if (r == Reduce::Mean) divide_by_counts(kName, out, dim, at, include_self);
  return target.finish();
}

Tensor indexAdd(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& source,
                Scalar alpha) {
  check_scalar_fits("indexAdd", "alpha", alpha, input.dtype());
  AG_CHECK(!alpha.is_float() || is_floating(input.dtype()), DType,
           "indexAdd: argument 'alpha' must not be a floating point number for integral tensors");
  return slice_write(OpId::indexAdd, IndexMode::Add, input, dim, index, source, alpha);
}

Tensor indexCopy(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& source) {
  return slice_write(OpId::indexCopy, IndexMode::Assign, input, dim, index, source,
                     Scalar(int64_t{1}));
}

Tensor indexFill(const Tensor& input, int64_t dim, const Tensor& index, const Operand& value) {
  dim = wrap_dim("indexFill", dim, input.ndim());
  AG_CHECK(!value.is_tensor() || value.tensor().ndim() == 0, Shape,
           "indexFill: argument 'value' must be a number or a 0-dim tensor, got ",
           value.is_tensor() ? describe(value.tensor()) : std::string());
  const Tensor given = index_vector("indexFill", input, index);
  const WriteTarget target(OpId::indexFill, input, input.dtype());
  const Tensor out = at_least_1d(target.tensor());
  Dims sizes = out.sizes();
  sizes[static_cast<size_t>(dim)] = given.numel();
  Tensor from;
  if (value.is_tensor()) {
    const Tensor one = contiguous_copy(as_dtype(value.tensor(), out.dtype()));
    from = one.alias(sizes, Dims(sizes.size(), 0), 0);
  } else {
    check_scalar_fits("indexFill", "value", value.scalar(), input.dtype());
    from = broadcast_number(value.scalar(), sizes, out.dtype(), out.device());
  }
  run_slices("indexFill", IndexMode::Assign, out, dim, target.apart(given), from);
  return target.finish();
}

Tensor indexReduce(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& source,
                   const std::string& reduce, bool include_self) {
  parse_reduce("indexReduce", reduce, true);
  dim = wrap_dim("indexReduce", dim, input.ndim());
  const Tensor at = index_vector("indexReduce", input, index);
  check_slices("indexReduce", input, dim, at, source);
  if (input.ndim() == 0) {
    return ops::scatterReduce(input, dim, ops::reshape(at, Dims()), ops::reshape(source, Dims()),
                              reduce, include_self);
  }
  Dims line(input.ndim(), 1);
  line[static_cast<size_t>(dim)] = at.numel();
  const Tensor everywhere = ops::expand(ops::reshape(at, line), source.sizes());
  return ops::scatterReduce(input, dim, everywhere, source, reduce, include_self);
}

}  // namespace impl
}  // namespace ampgrad
