// Scaled dot-product attention: PyTorch's argument rules, the fused kernel's launch, and the plain
// composition for dropout.
#include <cmath>
#include <limits>

#include "ops/attention_params.h"
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

constexpr const char* kName = "scaledDotProductAttention";

void check_operands(const Tensor& q, const Tensor& k, const Tensor& v) {
  AG_CHECK(is_floating(q.dtype()) && q.dtype() == k.dtype() && q.dtype() == v.dtype(), DType, kName,
           ": Expected query, key, and value to have the same dtype, but got query.dtype: ",
           dtype_name(q.dtype()), " key.dtype: ", dtype_name(k.dtype()),
           " and value.dtype: ", dtype_name(v.dtype()), " instead.");
  AG_CHECK(q.device() == k.device() && q.device() == v.device(), Device, kName,
           ": Expected query, key, and value to have the same device type");
  AG_CHECK(q.ndim() >= 2 && k.ndim() >= 2 && v.ndim() >= 2, Shape, kName,
           ": Expected query, key, and value to all be  at least 2 dimensional, but got shapes ",
           q.sizes(), ", ", k.sizes(), " and ", v.sizes());
  AG_CHECK(q.size(-1) == k.size(-1) && k.size(-2) == v.size(-2), Shape, kName, ": query ",
           q.sizes(), ", key ", k.sizes(), " and value ", v.sizes(), " do not fit together");
}

// Truth becomes 0 and falsehood minus infinity.
Tensor additive_mask(const Tensor& mask, const Tensor& q) {
  if (!mask.defined()) return mask;
  AG_CHECK(mask.dtype() == DType::Bool || is_floating(mask.dtype()), DType, kName,
           ": Expected attn_mask dtype to be bool or float or to match query dtype, but got "
           "attn_mask.dtype: ",
           dtype_name(mask.dtype()), " and  query.dtype: ", dtype_name(q.dtype()), " instead.");
  AG_CHECK(mask.ndim() >= 2 || mask.ndim() == 0, Shape, kName,
           ": argument 'attnMask' must have at least 2 dimensions, got shape ", mask.sizes());
  if (mask.dtype() != DType::Bool) return mask;
  const Tensor zero = ops::zeros(Dims{}, std::optional<DType>(q.dtype()));
  return ops::where(mask, zero, Scalar(-std::numeric_limits<double>::infinity()));
}

// Every key and value head serves several query heads.
Tensor repeat_heads(const Tensor& x, const Tensor& q) {
  AG_CHECK(x.ndim() >= 3 && q.ndim() >= 3, Shape, kName,
           ": enableGqa expects tensors of at least 3 dimensions");
  const int64_t heads = x.size(-3);
  const int64_t wanted = q.size(-3);
  AG_CHECK(heads > 0 && wanted % heads == 0, Shape, kName,
           ": Number of heads in key and value must divide the number of heads in query, got ",
           heads, " and ", wanted);
  if (heads == wanted) return x;
  Dims five = x.sizes();
  five.insert(five.size() - 2, wanted / heads);
  Dims out = x.sizes();
  out[out.size() - 3] = wanted;
  return ops::reshape(ops::expand(ops::unsqueeze(x, -3), five), out);
}

Dims with_matrix(const Dims& batch, int64_t rows, int64_t cols) {
  Dims out = batch;
  out.push_back(rows);
  out.push_back(cols);
  return out;
}

DimsView leading(const Tensor& t) { return DimsView(t.sizes()).slice(0, t.ndim() - 2); }

// The mask in the type of arithmetic, and where each pair's part of it begins.
struct MaskView {
  Tensor data;
  std::vector<int64_t> offsets;
  int64_t row = 0, col = 0;
};

MaskView mask_view(const char* op, const Tensor& mask, const Dims& batch, int64_t rows,
                   int64_t keys, DType dtype) {
  MaskView view;
  if (!mask.defined()) return view;
  view.data = as_dtype(mask, dtype);
  const Dims full = with_matrix(batch, rows, keys);
  AG_CHECK(can_broadcast_to(mask.sizes(), full), Shape, op, ": a mask of shape ", mask.sizes(),
           " cannot be broadcast to the scores ", full);
  const Dims strides = broadcast_strides(view.data.sizes(), view.data.strides(), full);
  view.row = strides[strides.size() - 2];
  view.col = strides[strides.size() - 1];
  const int64_t pairs = element_count(batch);
  for (int64_t i = 0; i < pairs; ++i) {
    int64_t rest = i;
    int64_t offset = 0;
    for (size_t d = batch.size(); d-- > 0;) {
      offset += rest % batch[d] * strides[d];
      rest /= batch[d];
    }
    view.offsets.push_back(offset);
  }
  return view;
}

AttentionParams params_for(const Tensor& q, const Tensor& k, const Tensor& v, const MaskView& mask,
                           bool causal, double scale) {
  AttentionParams p;
  p.dtype = q.dtype();
  p.q = q.data();
  p.k = k.data();
  p.v = v.data();
  if (mask.data.defined()) {
    p.mask = mask.data.data();
    p.mask_offsets = mask.offsets.data();
    p.mask_row = mask.row;
    p.mask_col = mask.col;
  }
  p.batch = element_count(leading(q));
  p.rows = q.size(-2);
  p.keys = k.size(-2);
  p.width = q.size(-1);
  p.value_width = v.size(-1);
  p.causal = causal;
  p.scale = scale;
  return p;
}

void check_same_batch(const char* op, const Tensor& q, const Tensor& k, const Tensor& v) {
  check_operands(q, k, v);
  AG_CHECK(leading(q) == leading(k) && leading(q) == leading(v), Shape, op,
           ": batch dimensions must agree, got ", q.sizes(), ", ", k.sizes(), " and ", v.sizes());
}

Tensor plain_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                       bool causal, double scale, double dropout_p) {
  Tensor scores = ops::mul(ops::matmul(q, ops::transpose(k, -2, -1)), scale);
  Tensor added = mask;
  if (causal) {
    const Tensor rows = ops::unsqueeze(positions(q.size(-2), q.device()), 1);
    const Tensor keys = positions(k.size(-2), k.device());
    added = additive_mask(ops::ge(rows, keys), q);
  }
  if (added.defined()) scores = ops::add(scores, added);
  return ops::matmul(ops::dropout(ops::softmax(scores, -1), dropout_p, true), v);
}

}  // namespace

namespace impl {

std::tuple<Tensor, Tensor> nativeAttention(const Tensor& query, const Tensor& key,
                                           const Tensor& value, const Tensor& mask, bool causal,
                                           double scale) {
  check_same_batch("nativeAttention", query, key, value);
  const Tensor q = as_contiguous(query);
  const Tensor k = as_contiguous(key);
  const Tensor v = as_contiguous(value);
  const Dims batch(leading(q));
  const DType stat = opmath_dtype(q.dtype());
  const Tensor out =
      Tensor::empty(with_matrix(batch, q.size(-2), v.size(-1)), q.dtype(), q.device());
  Dims rows = batch;
  rows.push_back(q.size(-2));
  const Tensor lse = Tensor::empty(rows, stat, q.device());
  const MaskView view = mask_view("nativeAttention", mask, batch, q.size(-2), k.size(-2), stat);
  AttentionParams p = params_for(q, k, v, view, causal, scale);
  p.out = out.data();
  p.lse = lse.data();
  KernelTable::run(OpId::nativeAttention, q.device(), q.dtype(), p);
  return {out, lse};
}

std::tuple<Tensor, Tensor, Tensor> attentionBackward(const Tensor& grad, const Tensor& query,
                                                     const Tensor& key, const Tensor& value,
                                                     const Tensor& mask, const Tensor& output,
                                                     const Tensor& lse, bool causal, double scale) {
  constexpr const char* kOp = "attentionBackward";
  check_same_batch(kOp, query, key, value);
  const Tensor q = as_contiguous(query);
  const Tensor k = as_contiguous(key);
  const Tensor v = as_contiguous(value);
  const Dims batch(leading(q));
  const DType stat = opmath_dtype(q.dtype());
  const Dims out_sizes = with_matrix(batch, q.size(-2), v.size(-1));
  for (const Tensor* t : {&grad, &output}) {
    AG_CHECK(t->sizes() == out_sizes && t->dtype() == q.dtype(), Shape, kOp, ": expected ",
             t == &grad ? "grad" : "output", " of shape ", out_sizes, " and the dtype of the query",
             ", got ", describe(*t));
  }
  AG_CHECK(lse.dtype() == stat && lse.numel() == element_count(batch) * q.size(-2), Shape, kOp,
           ": argument 'logsumexp' does not fit, got ", describe(lse));
  const Tensor g = as_contiguous(grad);
  const Tensor out = as_contiguous(output);
  const Tensor sums = as_contiguous(lse);
  const MaskView view = mask_view(kOp, mask, batch, q.size(-2), k.size(-2), stat);
  const Tensor dq = Tensor::empty(q.sizes(), q.dtype(), q.device());
  const Tensor dk = Tensor::empty(k.sizes(), q.dtype(), q.device());
  const Tensor dv = Tensor::empty(v.sizes(), q.dtype(), q.device());
  AttentionParams p = params_for(q, k, v, view, causal, scale);
  p.out = out.data();
  p.lse = sums.data();
  p.grad = g.data();
  p.grad_q = dq.data();
  p.grad_k = dk.data();
  p.grad_v = dv.data();
  KernelTable::run(OpId::attentionBackward, q.device(), q.dtype(), p);
  return {dq, dk, dv};
}

Tensor scaledDotProductAttention(const Tensor& query, const Tensor& key, const Tensor& value,
                                 const Tensor& attn_mask, double dropout_p, bool causal,
                                 std::optional<double> scale, bool enable_gqa) {
  check_operands(query, key, value);
  AG_CHECK(!causal || !attn_mask.defined(), Value, kName,
           ": Explicit attn_mask should not be set when is_causal=True");
  AG_CHECK(dropout_p >= 0 && dropout_p <= 1, Value, kName,
           ": dropout probability has to be between 0 and 1, but got ", dropout_p);
  const double factor =
      scale.value_or(1 / std::sqrt(static_cast<double>(std::max<int64_t>(query.size(-1), 1))));
  Tensor k = enable_gqa ? repeat_heads(key, query) : key;
  Tensor v = enable_gqa ? repeat_heads(value, query) : value;
  const Tensor mask = additive_mask(attn_mask, query);
  if (dropout_p > 0) return plain_attention(query, k, v, mask, causal, factor, dropout_p);
  const Dims shared = broadcast_shapes(kName, leading(k), leading(v));
  Dims batch = broadcast_shapes(kName, leading(query), shared);
  if (mask.defined() && mask.ndim() > 2) batch = broadcast_shapes(kName, batch, leading(mask));
  const auto spread = [&](const Tensor& x) {
    const Dims sizes = with_matrix(batch, x.size(-2), x.size(-1));
    return DimsView(x.sizes()) == DimsView(sizes) ? x : ops::expand(x, sizes);
  };
  return std::get<0>(
      ops::nativeAttention(spread(query), spread(k), spread(v), mask, causal, factor));
}

}  // namespace impl

}  // namespace ampgrad
