// Joins, splits and grids of several tensors; diagonals and triangles; copies with a view replaced.
// Composed of public ops.
#include <algorithm>

#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad::impl {

namespace {

template <class F>
TensorList each(const TensorList& tensors, const F& f) {
  TensorList out;
  for (const Tensor& t : tensors) out.push_back(f(t));
  return out;
}

void check_list(const char* op, const TensorList& tensors) {
  AG_CHECK(!tensors.empty(), Value, op, ": expected a non-empty list of Tensors");
}

}  // namespace

Tensor hstack(const TensorList& tensors) {
  check_list("hstack", tensors);
  const TensorList list = each(tensors, [](const Tensor& t) { return ops::atleast1d(t); });
  return ops::cat(list, list[0].ndim() == 1 ? 0 : 1);
}
Tensor vstack(const TensorList& tensors) {
  check_list("vstack", tensors);
  return ops::cat(each(tensors, [](const Tensor& t) { return ops::atleast2d(t); }), 0);
}
Tensor dstack(const TensorList& tensors) {
  check_list("dstack", tensors);
  return ops::cat(each(tensors, [](const Tensor& t) { return ops::atleast3d(t); }), 2);
}
Tensor columnStack(const TensorList& tensors) {
  check_list("columnStack", tensors);
  return ops::hstack(each(tensors, [](const Tensor& t) {
    return t.ndim() <= 1 ? ops::reshape(t, Dims{t.numel(), 1}) : t;
  }));
}

Tensor blockDiag(const TensorList& tensors) {
  check_list("blockDiag", tensors);
  int64_t rows = 0;
  int64_t cols = 0;
  DType dtype = tensors[0].dtype();
  for (const Tensor& t : tensors) {
    AG_CHECK(t.ndim() <= 2, Shape, "blockDiag: input tensors must have 2 or fewer dimensions, got ",
             describe(t));
    dtype = promote_types(dtype, t.dtype());
  }
  const TensorList blocks = each(tensors, [](const Tensor& t) { return ops::atleast2d(t); });
  for (const Tensor& t : blocks) {
    rows += t.size(0);
    cols += t.size(1);
  }
  check_sizes("blockDiag", Dims{rows, cols}, dtype_size(dtype));
  const Tensor out = ops::zeros(Dims{rows, cols}, dtype, tensors[0].device());
  rows = cols = 0;
  for (const Tensor& t : blocks) {
    const Tensor place = ops::narrow(ops::narrow(out, 0, rows, t.size(0)), 1, cols, t.size(1));
    ops::copy_(place, Operand(t), false);
    rows += t.size(0);
    cols += t.size(1);
  }
  return out;
}

TensorList splitWithSizes(const Tensor& x, DimsView sizes, int64_t dim) {
  AG_CHECK(x.ndim() > 0, Shape, "splitWithSizes: expects at least a 1-dimensional tensor");
  int64_t left = x.size(dim);
  for (int64_t s : sizes) {
    AG_CHECK(s >= 0 && s <= left, Shape, "splitWithSizes: expects splitSizes to be non-negative ",
             "and to sum exactly to ", x.size(dim), " (input tensor's size at dimension ", dim,
             "), but got ", sizes);
    left -= s;
  }
  AG_CHECK(left == 0, Shape, "splitWithSizes: expects splitSizes to sum exactly to ", x.size(dim),
           " (input tensor's size at dimension ", dim, "), but got ", sizes);
  TensorList out;
  int64_t start = 0;
  for (int64_t s : sizes) {
    out.push_back(ops::narrow(x, dim, start, s));
    start += s;
  }
  return out;
}

// The first n % sections parts are one longer.
TensorList splitSections(const Tensor& x, int64_t sections, int64_t dim) {
  AG_CHECK(x.ndim() > 0, Shape,
           "tensorSplit: expected at least a 1-dimensional tensor, but got 0 dims");
  AG_CHECK(sections > 0, Value, "tensorSplit: number of sections must be larger than 0, got ",
           sections);
  const int64_t n = x.size(dim);
  AG_CHECK(sections <= (int64_t{1} << 24), Range, "tensorSplit: too many sections: ", sections);
  TensorList out;
  int64_t start = 0;
  for (int64_t i = 0; i < sections; ++i) {
    const int64_t length = n / sections + (i < n % sections ? 1 : 0);
    out.push_back(ops::narrow(x, dim, start, length));
    start += length;
  }
  return out;
}

TensorList splitIndices(const Tensor& x, DimsView indices, int64_t dim) {
  AG_CHECK(x.ndim() > 0, Shape,
           "tensorSplit: expected at least a 1-dimensional tensor, but got 0 dims");
  TensorList out;
  int64_t start = 0;
  for (int64_t end : indices) {
    out.push_back(ops::slice(x, dim, start, end, 1));
    start = end;
  }
  out.push_back(ops::slice(x, dim, start, std::nullopt, 1));
  return out;
}

// --- Grids.

TensorList meshgrid(const TensorList& tensors, const std::string& indexing) {
  check_list("meshgrid", tensors);
  AG_CHECK(indexing == "ij" || indexing == "xy", Value,
           "meshgrid: argument 'indexing' must be one of 'xy' or 'ij', but received: ", indexing);
  Dims sizes;
  for (const Tensor& t : tensors) {
    AG_CHECK(t.ndim() <= 1, Shape, "meshgrid: expected 0D or 1D tensors, got ", describe(t));
    AG_CHECK(t.dtype() == tensors[0].dtype(), DType,
             "meshgrid: expects all tensors to have the same dtype");
    sizes.push_back(t.numel());
  }
  AG_CHECK(sizes.size() <= kMaxDims, Shape, "meshgrid: at most ", kMaxDims, " tensors, got ",
           static_cast<int64_t>(sizes.size()));
  const bool swap = indexing == "xy" && tensors.size() >= 2;
  TensorList out;
  for (size_t i = 0; i < tensors.size(); ++i) {
    Dims line(sizes.size(), 1);
    line[i] = sizes[i];
    const Tensor grid = ops::expand(ops::reshape(tensors[i], line), sizes);
    out.push_back(swap ? ops::transpose(grid, 0, 1) : grid);
  }
  return out;
}

Tensor cartesianProd(const TensorList& tensors) {
  check_list("cartesianProd", tensors);
  for (const Tensor& t : tensors) {
    AG_CHECK(t.ndim() == 1, Shape, "cartesianProd: expect a 1D vector, but got shape ", t.sizes());
  }
  if (tensors.size() == 1) return tensors[0];
  const TensorList grids = ops::meshgrid(tensors, std::string("ij"));
  return ops::stack(each(grids, [](const Tensor& g) { return ops::ravel(g); }), 1);
}

Tensor combinations(const Tensor& x, int64_t r, bool with_replacement) {
  AG_CHECK(x.ndim() == 1, Shape, "combinations: expect a 1D vector, but got shape ", x.sizes());
  AG_CHECK(r >= 0 && r <= kMaxDims, Value, "combinations: expect a non-negative number, but got ",
           r);
  if (r == 0) return ops::empty(Dims{0}, x.dtype(), x.device());
  const int64_t n = x.numel();
  const Tensor order =
      ops::arange(Scalar(n), std::nullopt, Scalar(int64_t{1}), DType::Int64, x.device());
  const TensorList grids =
      ops::meshgrid(TensorList(static_cast<size_t>(r), order), std::string("ij"));
  Tensor keep = ops::ones(grids[0].sizes(), DType::Bool, x.device());
  for (size_t i = 0; i + 1 < grids.size(); ++i) {
    keep = ops::logicalAnd(
        keep, with_replacement ? ops::le(grids[i], grids[i + 1]) : ops::lt(grids[i], grids[i + 1]));
  }
  TensorList columns;
  for (const Tensor& g : grids) {
    columns.push_back(ops::indexSelect(x, 0, ops::maskedSelect(g, keep)));
  }
  return ops::stack(columns, 1);
}

// --- Diagonals and triangles.

namespace {

// True where column - row <= diagonal.
Tensor lower_mask(int64_t rows, int64_t cols, int64_t diagonal, Device device) {
  const Scalar one(int64_t{1});
  // Beyond the matrix every diagonal is the same; the bound keeps the arithmetic in range.
  const int64_t d = std::clamp(diagonal, -rows - 1, cols + 1);
  const Tensor r = ops::arange(Scalar(d), Scalar(d + rows), one, DType::Int64, device);
  const Tensor c = ops::arange(Scalar(cols), std::nullopt, one, DType::Int64, device);
  return ops::le(c, ops::unsqueeze(r, 1));
}

Tensor triangle(const char* op, const Tensor& x, int64_t diagonal, bool lower) {
  AG_CHECK(x.ndim() >= 2, Shape, op, ": input tensor must have at least 2 dimensions, got ",
           describe(x));
  AG_CHECK(lower || diagonal > INT64_MIN, Range, op, ": argument 'diagonal' is out of range");
  const Tensor below =
      lower_mask(x.size(-2), x.size(-1), lower ? diagonal : diagonal - 1, x.device());
  const Tensor drop = lower ? ops::logicalNot(below) : below;
  return ops::maskedFill(x, drop, Operand(Scalar(int64_t{0})));
}

Tensor triangle_indices(const char* op, int64_t rows, int64_t cols, int64_t offset,
                        std::optional<DType> dtype, std::optional<Device> device, bool lower) {
  AG_CHECK(rows >= 0 && cols >= 0, Value, op, ": rows and columns must be non-negative, got ", rows,
           " and ", cols);
  const DType wanted = dtype.value_or(DType::Int64);
  AG_CHECK(is_integral(wanted), DType, op, ": argument 'dtype' must be an integer dtype, got ",
           dtype_name(wanted));
  AG_CHECK(lower || offset > INT64_MIN, Range, op, ": argument 'offset' is out of range");
  check_sizes(op, Dims{rows, cols}, sizeof(int64_t));
  const Tensor below =
      lower_mask(rows, cols, lower ? offset : offset - 1, device.value_or(Device{}));
  const Tensor at = ops::nonzero(lower ? below : ops::logicalNot(below));
  return ops::to(ops::contiguous(ops::transpose(at, 0, 1)), wanted);
}

}  // namespace

Tensor tril(const Tensor& x, int64_t diagonal) { return triangle("tril", x, diagonal, true); }
Tensor triu(const Tensor& x, int64_t diagonal) { return triangle("triu", x, diagonal, false); }

Tensor trilIndices(int64_t row, int64_t col, int64_t offset, std::optional<DType> dtype,
                   std::optional<Device> device) {
  return triangle_indices("trilIndices", row, col, offset, dtype, device, true);
}
Tensor triuIndices(int64_t row, int64_t col, int64_t offset, std::optional<DType> dtype,
                   std::optional<Device> device) {
  return triangle_indices("triuIndices", row, col, offset, dtype, device, false);
}

Tensor diagEmbed(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  const size_t ndim = x.ndim() + 1;
  AG_CHECK(x.ndim() > 0, Shape, "diagEmbed: needs a tensor of at least 1 dimension");
  const auto d1 = static_cast<size_t>(wrap_dim("diagEmbed", dim1, ndim));
  const auto d2 = static_cast<size_t>(wrap_dim("diagEmbed", dim2, ndim));
  AG_CHECK(d1 != d2, Value, "diagEmbed: diagonal dimensions cannot be identical ", dim1, ", ",
           dim2);
  AG_CHECK(offset < (int64_t{1} << 40) && offset > -(int64_t{1} << 40), Range,
           "diagEmbed: argument 'offset' is out of range: ", offset);
  const int64_t length = x.size(-1) + (offset < 0 ? -offset : offset);
  Dims sizes(DimsView(x.sizes()).slice(0, x.ndim() - 1));
  sizes.insert(std::min(d1, d2), length);
  sizes.insert(std::max(d1, d2), length);
  check_sizes("diagEmbed", sizes, x.element_size());
  const Tensor out = ops::zeros(sizes, x.dtype(), x.device());
  const Tensor line =
      ops::diagonal(out, offset, static_cast<int64_t>(d1), static_cast<int64_t>(d2));
  ops::copy_(line, Operand(x), false);
  return out;
}

Tensor diag(const Tensor& x, int64_t diagonal) {
  AG_CHECK(x.ndim() == 1 || x.ndim() == 2, Shape, "diag: supports 1D or 2D tensors, got ",
           describe(x));
  if (x.ndim() == 1) return ops::diagEmbed(x, diagonal);
  return ops::clone(ops::diagonal(x, diagonal, 0, 1));
}

Tensor diagflat(const Tensor& x, int64_t offset) { return ops::diagEmbed(ops::ravel(x), offset); }

Tensor trace(const Tensor& x) {
  AG_CHECK(x.ndim() == 2, Shape, "trace: expected a matrix, got ", describe(x));
  return ops::sum(ops::diagonal(x, 0, 0, 1));
}

// --- Copies with a view replaced.

namespace {

template <class View>
Tensor replaced(const char* op, const Tensor& x, const Tensor& src, const View& view_of) {
  const Tensor out = ops::clone(x);
  const Tensor part = view_of(out);
  AG_CHECK(part.sizes() == src.sizes(), Shape, op, ": expected argument 'src' to have shape ",
           part.sizes(), ", the shape of the slice, got ", src.sizes());
  ops::copy_(part, Operand(src), false);
  return out;
}

}  // namespace

Tensor selectScatter(const Tensor& x, const Tensor& src, int64_t dim, int64_t index) {
  return replaced("selectScatter", x, src,
                  [&](const Tensor& t) { return ops::select(t, dim, index); });
}
Tensor sliceScatter(const Tensor& x, const Tensor& src, int64_t dim, std::optional<int64_t> start,
                    std::optional<int64_t> end, int64_t step) {
  return replaced("sliceScatter", x, src,
                  [&](const Tensor& t) { return ops::slice(t, dim, start, end, step); });
}
Tensor diagonalScatter(const Tensor& x, const Tensor& src, int64_t offset, int64_t dim1,
                       int64_t dim2) {
  return replaced("diagonalScatter", x, src,
                  [&](const Tensor& t) { return ops::diagonal(t, offset, dim1, dim2); });
}
Tensor asStridedScatter(const Tensor& x, const Tensor& src, DimsView size, DimsView stride,
                        std::optional<int64_t> offset) {
  return replaced("asStridedScatter", x, src, [&](const Tensor& t) {
    return ops::asStrided(t, size, stride, offset.value_or(0));
  });
}

}  // namespace ampgrad::impl
