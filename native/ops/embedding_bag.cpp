// Bags of embeddings, reduced: lookups, then sums, means or maxima by bag. Composed of public ops;
// half precision is reduced in float and rounded once.
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

constexpr const char* kName = "embeddingBag";

struct Bags {
  Tensor indices;  // of all bags, one after the other
  Tensor ids;      // the bag of each
  int64_t count = 0;
};

// Bags of one size, the rows of a matrix.
Bags equal_bags(const Tensor& input) {
  Bags bags;
  bags.count = input.size(0);
  const Tensor rows = ops::unsqueeze(positions(bags.count, input.device()), 1);
  bags.ids = ops::reshape(ops::expand(rows, input.sizes()), Dims{input.numel()});
  bags.indices = ops::reshape(input, Dims{input.numel()});
  return bags;
}

// Bags that start at the offsets; the last offset may be the end of the last bag.
Bags offset_bags(const Tensor& input, const Tensor& offsets, bool include_last) {
  AG_CHECK(is_integral(offsets.dtype()) && offsets.ndim() == 1, Shape, kName,
           ": argument 'offsets' must be a vector of integers, got ", describe(offsets));
  const Tensor starts = ops::to(offsets, DType::Int64);
  const int64_t n = starts.numel();
  AG_CHECK(!include_last || n > 0, Value, kName,
           ": argument 'offsets' must have an element with includeLastOffset");
  const Tensor listed = as_contiguous(to_host(starts));
  const int64_t* at = listed.data_as<int64_t>();
  for (int64_t i = 0; i < n; ++i) {
    AG_CHECK(i > 0 || at[0] == 0, Value, kName, ": offsets[0] has to be 0, got ", at[0]);
    AG_CHECK(i == 0 || at[i] >= at[i - 1], Value, kName,
             ": argument 'offsets' must not decrease, got ", at[i], " after ", at[i - 1]);
    AG_CHECK(at[i] <= input.numel(), Range, kName, ": argument 'offsets' holds ", at[i],
             ", beyond the ", input.numel(), " indices");
  }
  Bags bags;
  bags.count = include_last ? n - 1 : n;
  bags.indices = input;
  if (include_last && at[n - 1] < input.numel()) {
    bags.indices = ops::narrow(input, 0, 0, at[n - 1]);
  }
  AG_CHECK(bags.count > 0 || bags.indices.numel() == 0, Value, kName,
           ": argument 'offsets' must not be empty when there are indices");
  const Tensor each = positions(bags.indices.numel(), input.device());
  const Tensor later =
      ops::searchsorted(starts, Operand(each), false, true, std::nullopt, Tensor());
  bags.ids = ops::sub(later, Operand(int64_t{1}));
  return bags;
}

// Sizes of the bags that count, as a column that divides.
Tensor bag_sizes(const Bags& bags, const Tensor& ids, DType dtype) {
  const Tensor ones = ops::ones(ids.sizes(), dtype, ids.device());
  const Tensor zeros = ops::zeros(Dims{bags.count}, dtype, ids.device());
  return ops::unsqueeze(ops::clampMin(ops::indexAdd(zeros, 0, ids, ones), Operand(1.0)), 1);
}

}  // namespace

namespace impl {

Tensor embeddingBag(const Tensor& input, const Tensor& weight, const Tensor& offsets,
                    std::optional<double> max_norm, double norm_type, bool scale_grad_by_freq,
                    const std::string& mode, bool sparse, const Tensor& per_sample_weights,
                    bool include_last_offset, std::optional<int64_t> padding_idx) {
  AG_CHECK(mode == "sum" || mode == "mean" || mode == "max", Value, kName,
           ": argument 'mode' must be 'sum', 'mean' or 'max', got '", mode, "'");
  AG_CHECK(input.ndim() == 1 || input.ndim() == 2, Shape, kName,
           ": argument 'input' must be 1-d or 2-d, got ", describe(input));
  AG_CHECK(offsets.defined() == (input.ndim() == 1), Value, kName,
           ": argument 'offsets' must be given for a 1-d input, and only then");
  AG_CHECK(!per_sample_weights.defined() || mode == "sum", Value, kName,
           ": argument 'perSampleWeights' needs mode 'sum', got '", mode, "'");
  AG_CHECK(!per_sample_weights.defined() || per_sample_weights.sizes() == input.sizes(), Shape,
           kName, ": argument 'perSampleWeights' must have shape ", input.sizes(),
           " like the input, got ",
           per_sample_weights.defined() ? per_sample_weights.sizes() : Dims());
  const Bags bags =
      offsets.defined() ? offset_bags(input, offsets, include_last_offset) : equal_bags(input);
  Tensor rows = ops::embedding(bags.indices, weight, padding_idx, max_norm, norm_type,
                               scale_grad_by_freq, sparse);
  if (is_low_precision(weight.dtype())) rows = ops::to(rows, DType::Float32);
  if (per_sample_weights.defined()) {
    const Tensor factors = ops::narrow(ops::reshape(per_sample_weights, Dims{input.numel()}), 0, 0,
                                       bags.indices.numel());
    rows = ops::mul(rows, ops::unsqueeze(ops::to(factors, rows.dtype()), 1));
  }
  Tensor ids = bags.ids;
  if (padding_idx.has_value()) {
    // Padding takes no part, whatever its row holds.
    const int64_t padding = *padding_idx < 0 ? *padding_idx + weight.size(0) : *padding_idx;
    const Tensor found = ops::nonzero(ops::ne(bags.indices, Operand(padding)));
    const Tensor kept = ops::reshape(found, Dims{found.numel()});
    rows = ops::indexSelect(rows, 0, kept);
    ids = ops::indexSelect(ids, 0, kept);
  }
  Tensor out = ops::zeros(Dims{bags.count, weight.size(1)}, rows.dtype(), weight.device());
  if (mode == "max") {
    out = ops::indexReduce(out, 0, ids, rows, std::string("amax"), false);
  } else {
    out = ops::indexAdd(out, 0, ids, rows);
    if (mode == "mean") out = ops::div(out, bag_sizes(bags, ids, out.dtype()));
  }
  return ops::to(out, weight.dtype());
}

}  // namespace impl
}  // namespace ampgrad
