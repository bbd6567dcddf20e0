// Sampling at the points of a grid, and the grids of affine maps. Halves are widened once for the
// kernel, which sees float32 and float64.
#include <tuple>

#include "ops/creation.h"
#include "ops/grid_params.h"
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

constexpr const char* kName = "gridSample";

GridMode parse_mode(const std::string& mode) {
  if (mode == "bilinear") return GridMode::Linear;
  if (mode == "nearest") return GridMode::Nearest;
  AG_CHECK(mode == "bicubic", Value, kName,
           ": argument 'mode' must be 'bilinear', 'nearest' or 'bicubic', got '", mode, "'");
  return GridMode::Cubic;
}

GridBorder parse_padding(const std::string& mode) {
  if (mode == "zeros") return GridBorder::Zeros;
  if (mode == "border") return GridBorder::Border;
  AG_CHECK(mode == "reflection", Value, kName,
           ": argument 'paddingMode' must be 'zeros', 'border' or 'reflection', got '", mode, "'");
  return GridBorder::Reflection;
}

void check_shapes(const Tensor& input, const Tensor& grid, GridMode mode) {
  AG_CHECK(input.dtype() == grid.dtype(), DType, kName,
           ": arguments 'input' and 'grid' must have the same dtype, got ",
           dtype_name(input.dtype()), " and ", dtype_name(grid.dtype()));
  AG_CHECK((input.ndim() == 4 || input.ndim() == 5) && grid.ndim() == input.ndim(), Shape, kName,
           ": expected 4D or 5D input and grid with same number of dimensions, got input with "
           "sizes ",
           input.sizes(), " and grid with sizes ", grid.sizes());
  AG_CHECK(input.size(0) == grid.size(0), Shape, kName,
           ": expected grid and input to have same batch size, got input with sizes ",
           input.sizes(), " and grid with sizes ", grid.sizes());
  const size_t dims = input.ndim() - 2;
  AG_CHECK(grid.sizes().back() == static_cast<int64_t>(dims), Shape, kName,
           ": expected grid to have size ", static_cast<int64_t>(dims),
           " in last dimension, got grid with sizes ", grid.sizes());
  for (size_t d = 2; d < input.ndim(); ++d) {
    AG_CHECK(input.sizes()[d] > 0, Shape, kName,
             ": expected input to have non-empty spatial dimensions, got input with sizes ",
             input.sizes());
  }
  AG_CHECK(mode != GridMode::Cubic || dims == 2, Shape, kName,
           ": bicubic interpolation only supports 4D input, got sizes ", input.sizes());
}

// What the kernel reads, kept alive for its run.
struct GridCall {
  Tensor input, grid;
  GridParams params;
  DType work;
  Dims out_sizes;
};

GridCall make_call(const Tensor& input, const Tensor& grid, const std::string& mode,
                   const std::string& padding, std::optional<bool> align_corners) {
  GridCall call;
  GridParams& p = call.params;
  p.mode = parse_mode(mode);
  p.padding = parse_padding(padding);
  p.align_corners = align_corners.value_or(false);
  check_shapes(input, grid, p.mode);
  call.work = opmath_dtype(input.dtype());
  call.input = as_contiguous(as_dtype(input, call.work));
  call.grid = as_contiguous(as_dtype(grid, call.work));
  p.in = call.input.data();
  p.grid = call.grid.data();
  p.batch = input.size(0);
  p.channels = input.size(1);
  p.dims = static_cast<int>(input.ndim()) - 2;
  p.points = 1;
  call.out_sizes = Dims{p.batch, p.channels};
  for (int d = 0; d < p.dims; ++d) {
    p.in_size[d] = input.sizes()[static_cast<size_t>(d) + 2];
    call.out_sizes.push_back(grid.sizes()[static_cast<size_t>(d) + 1]);
    p.points *= call.out_sizes.back();
  }
  return call;
}

// The normalised coordinate along dimension d at every point of a grid.
Tensor axis_coordinates(const Tensor& like, const Dims& grid_size, size_t d, bool align_corners) {
  const int64_t n = grid_size[d];
  Dims shape(grid_size.size(), 1);
  shape[d] = n;
  Tensor line = n == 1 ? ops::zeros(Dims{1}, like.dtype(), like.device())
                       : ops::linspace(Scalar(-1.0), Scalar(1.0), n, like.dtype(), like.device());
  if (!align_corners) {
    line = ops::mul(line, Scalar(static_cast<double>(n - 1) / static_cast<double>(n)));
  }
  return ops::expand(ops::reshape(line, shape), grid_size);
}

}  // namespace

namespace impl {

Tensor gridSample(const Tensor& input, const Tensor& grid, const std::string& mode,
                  const std::string& padding_mode, std::optional<bool> align_corners) {
  GridCall call = make_call(input, grid, mode, padding_mode, align_corners);
  const Tensor out = new_tensor(kName, call.out_sizes, call.work, input.device());
  call.params.out = out.data();
  if (out.numel() != 0) {
    KernelTable::run(OpId::gridSample, input.device(), call.work, call.params);
  }
  return as_dtype(out, input.dtype());
}

std::tuple<Tensor, Tensor> gridSampleBackward(const Tensor& grad, const Tensor& input,
                                              const Tensor& grid, const std::string& mode,
                                              const std::string& padding_mode,
                                              std::optional<bool> align_corners,
                                              DimsView output_mask) {
  GridCall call = make_call(input, grid, mode, padding_mode, align_corners);
  AG_CHECK(grad.sizes() == call.out_sizes && grad.dtype() == input.dtype(), Shape,
           "gridSampleBackward: argument 'grad' must have shape ", call.out_sizes, " and dtype ",
           dtype_name(input.dtype()), ", got ", describe(grad));
  AG_CHECK(output_mask.size() == 2, Value,
           "gridSampleBackward: argument 'outputMask' must have 2 entries, got ", output_mask);
  const Tensor g = as_contiguous(as_dtype(grad, call.work));
  call.params.grad = g.data();
  Tensor grad_input, grad_grid;
  if (output_mask[0] != 0) {
    grad_input = new_tensor(kName, input.sizes(), call.work, input.device());
    if (grad_input.numel() != 0) call.params.grad_in = grad_input.data();
  }
  if (output_mask[1] != 0) {
    grad_grid = new_tensor(kName, grid.sizes(), call.work, input.device());
    if (grad_grid.numel() != 0) call.params.grad_grid = grad_grid.data();
  }
  KernelTable::run(OpId::gridSampleBackward, input.device(), call.work, call.params);
  if (grad_input.defined()) grad_input = as_dtype(grad_input, input.dtype());
  if (grad_grid.defined()) grad_grid = as_dtype(grad_grid, input.dtype());
  return {grad_input, grad_grid};
}

Tensor affineGrid(const Tensor& theta, DimsView size, std::optional<bool> align_corners) {
  constexpr const char* kAffine = "affineGrid";
  AG_CHECK(is_floating(theta.dtype()), DType, kAffine,
           ": Expected theta to have floating point type, but got ", dtype_name(theta.dtype()));
  AG_CHECK(size.size() == 4 || size.size() == 5, Shape, kAffine,
           ": argument 'size' must have 4 or 5 entries, for 2D and 3D affine transforms, got ",
           size);
  const auto dims = static_cast<int64_t>(size.size()) - 2;
  AG_CHECK(theta.ndim() == 3 && theta.size(1) == dims && theta.size(2) == dims + 1, Shape, kAffine,
           ": expected a batch of affine matrices of shape Nx", dims, "x", dims + 1, " for size ",
           size, ", got ", theta.sizes());
  for (int64_t s : size) {
    AG_CHECK(s > 0, Value, kAffine, ": expected non-zero, positive output size, got ", size);
  }
  AG_CHECK(theta.size(0) == size[0], Shape, kAffine, ": argument 'theta' holds ", theta.size(0),
           " matrices, but size ", size, " needs ", size[0]);
  const bool half = is_low_precision(theta.dtype());
  const Tensor maps = half ? ops::to(theta, DType::Float32) : theta;
  // The homogeneous coordinates of every point, last dimension first.
  Dims grid_size(size.slice(2, static_cast<size_t>(dims)));
  const Tensor base = [&] {
    TensorList columns;
    for (int64_t d = dims - 1; d >= 0; --d) {
      columns.push_back(
          axis_coordinates(maps, grid_size, static_cast<size_t>(d), align_corners.value_or(false)));
    }
    columns.push_back(ops::expand(ops::ones(Dims{1}, maps.dtype(), theta.device()), grid_size));
    return ops::reshape(ops::stack(columns, -1), Dims{1, -1, dims + 1});
  }();
  Dims out{size[0]};
  for (int64_t s : grid_size) out.push_back(s);
  out.push_back(dims);
  const Tensor points = ops::reshape(ops::matmul(base, ops::transpose(maps, 1, 2)), out);
  return half ? ops::to(points, theta.dtype()) : points;
}

}  // namespace impl

}  // namespace ampgrad
