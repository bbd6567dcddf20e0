// Contractions of tensors through batched matrix products: einsum with its grammar and its order of
// products, tensordot, kron. Everything is made of public ops, so gradients come with them.
#include <algorithm>
#include <array>

#include "ops/ops.h"

namespace ampgrad {

namespace {

constexpr int kLetters = 52;
// Stands for an ellipsis in a list of subscripts.
constexpr int kEllipsis = kLetters;
constexpr int kAbsent = -1;

// Capital letters come first, as in PyTorch's order of implicit results.
int letter_index(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  return kAbsent;
}

char letter(int index) { return static_cast<char>(index < 26 ? 'A' + index : 'a' + index - 26); }

// Reads one list of subscripts of the equation.
std::vector<int> parse_subscripts(std::string_view text, const char* where) {
  std::vector<int> labels;
  bool ellipsis = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '.') {
      AG_CHECK(text.substr(i, 3) == "...", Value, "einsum: found '.' in the subscripts of ", where,
               " that is not part of any ellipsis");
      AG_CHECK(!ellipsis, Value, "einsum: found '.' in the subscripts of ", where,
               " for which an ellipsis was already found");
      ellipsis = true;
      labels.push_back(kEllipsis);
      i += 2;
      continue;
    }
    const int index = letter_index(text[i]);
    AG_CHECK(index != kAbsent, Value, "einsum: invalid subscript '", std::string(1, text[i]),
             "' in the subscripts of ", where, ", subscripts must be in [a-zA-Z]");
    labels.push_back(index);
  }
  return labels;
}

std::vector<std::string> split_operands(std::string_view text) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back().push_back(c);
    }
  }
  return parts;
}

// An equation against its operands: what each label's place is in the common order of dimensions,
// results first. The dimensions of the ellipsis, aligned at the end, are one block of that order.
class Equation {
 public:
  Equation(const std::string& text, const TensorList& operands);

  // The operand with one dimension for every label, of size 1 where it does not have the label.
  Tensor arrange(size_t operand, const Tensor& x) const;
  size_t dims() const { return total_; }
  size_t out_dims() const { return out_; }

 private:
  void measure_ellipsis(const TensorList& operands);
  void place_outputs(const std::vector<int>& labels);
  void place_implicit();
  void place(int label);

  std::vector<std::vector<int>> inputs_;
  std::array<int, kLetters> count_{};
  std::array<int64_t, kLetters + 1> place_;
  int64_t ellipsis_dims_ = 0;
  bool has_ellipsis_ = false;
  size_t total_ = 0;
  size_t out_ = 0;
};

Equation::Equation(const std::string& text, const TensorList& operands) {
  place_.fill(kAbsent);
  std::string dense;
  std::copy_if(text.begin(), text.end(), std::back_inserter(dense),
               [](char c) { return c != ' '; });
  const size_t arrow = dense.find("->");
  const std::vector<std::string> parts = split_operands(std::string_view(dense).substr(0, arrow));
  AG_CHECK(parts.size() == operands.size(), Value,
           "einsum: ", parts.size() > operands.size() ? "fewer" : "more",
           " operands were provided than specified in the equation, got ",
           static_cast<int64_t>(operands.size()), " for ", static_cast<int64_t>(parts.size()));
  for (const std::string& part : parts) {
    inputs_.push_back(parse_subscripts(part, "an operand"));
    for (int label : inputs_.back()) {
      if (label != kEllipsis) ++count_[static_cast<size_t>(label)];
    }
  }
  measure_ellipsis(operands);
  if (arrow == std::string::npos) {
    place_implicit();
  } else {
    place_outputs(parse_subscripts(std::string_view(dense).substr(arrow + 2), "the output"));
  }
  out_ = total_;
  if (has_ellipsis_ && place_[kEllipsis] == kAbsent) place(kEllipsis);
  for (int label = 0; label < kLetters; ++label) {
    const auto l = static_cast<size_t>(label);
    if (count_[l] > 0 && place_[l] == kAbsent) place(label);
  }
}

void Equation::measure_ellipsis(const TensorList& operands) {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const std::vector<int>& labels = inputs_[i];
    const bool open = std::find(labels.begin(), labels.end(), kEllipsis) != labels.end();
    const auto named = static_cast<int64_t>(labels.size()) - (open ? 1 : 0);
    const auto ndim = static_cast<int64_t>(operands[i].ndim());
    AG_CHECK(open ? named <= ndim : named == ndim, Shape,
             "einsum: the number of subscripts in the equation (", named,
             open ? ") is more than the number of dimensions ("
                  : ") does not match the number of dimensions (",
             ndim, ") for operand ", static_cast<int64_t>(i),
             open ? "" : " and no ellipsis was given");
    has_ellipsis_ = has_ellipsis_ || open;
    if (open) ellipsis_dims_ = std::max(ellipsis_dims_, ndim - named);
  }
}

void Equation::place(int label) {
  place_[static_cast<size_t>(label)] = static_cast<int64_t>(total_);
  total_ += label == kEllipsis ? static_cast<size_t>(ellipsis_dims_) : 1;
}

void Equation::place_outputs(const std::vector<int>& labels) {
  for (int label : labels) {
    if (label == kEllipsis) {
      // As in PyTorch, an ellipsis that no operand has stands for no dimensions.
      if (has_ellipsis_) place(label);
      continue;
    }
    const auto l = static_cast<size_t>(label);
    AG_CHECK(place_[l] == kAbsent, Value, "einsum: output subscript ",
             std::string(1, letter(label)), " appears more than once in the output");
    AG_CHECK(count_[l] > 0, Value, "einsum: output subscript ", std::string(1, letter(label)),
             " does not appear in the equation for any input operand");
    place(label);
  }
}

void Equation::place_implicit() {
  if (has_ellipsis_) place(kEllipsis);
  for (int label = 0; label < kLetters; ++label) {
    if (count_[static_cast<size_t>(label)] == 1) place(label);
  }
}

Tensor Equation::arrange(size_t operand, const Tensor& x) const {
  Tensor t = x;
  std::vector<int64_t> source(total_, kAbsent);  // dimension of t for every place
  const std::vector<int>& labels = inputs_[operand];
  const auto own = static_cast<int64_t>(x.ndim()) - (static_cast<int64_t>(labels.size()) - 1);
  int64_t d = 0;
  for (int label : labels) {
    const auto at = static_cast<size_t>(place_[static_cast<size_t>(label)]);
    if (label == kEllipsis) {
      for (int64_t i = 0; i < own; ++i) {
        source[at + static_cast<size_t>(ellipsis_dims_ - own + i)] = d++;
      }
      continue;
    }
    if (source[at] == kAbsent) {
      source[at] = d++;
      continue;
    }
    // A label that is there already: the diagonal of the two dimensions.
    AG_CHECK(t.size(d) == t.size(source[at]), Shape, "einsum: subscript ",
             std::string(1, letter(label)), " is repeated for operand ",
             static_cast<int64_t>(operand), " but the sizes don't match, ", t.size(d),
             " != ", t.size(source[at]));
    t = ops::diagonal(t, int64_t{0}, source[at], d);
    t = ops::movedim(t, Dims{-1}, Dims{source[at]});
  }
  Dims order;
  for (int64_t from : source) {
    if (from != kAbsent) order.push_back(from);
  }
  t = ops::permute(t, order);
  for (size_t i = 0; i < total_; ++i) {
    if (source[i] == kAbsent) t = ops::unsqueeze(t, static_cast<int64_t>(i));
  }
  return t;
}

// Multiplies two operands of the common order and sums the dimensions of `summed`, which stay with
// size 1. Each dimension is a batch, belongs to one side, or is contracted by the matrix product.
class PairProduct {
 public:
  PairProduct(const Tensor& left, const Tensor& right, const std::vector<bool>& summed)
      : left_(left), right_(right) {
    for (size_t d = 0; d < summed.size(); ++d) classify(static_cast<int64_t>(d), summed[d]);
  }

  Tensor run() {
    if (contracted_.empty()) return ops::mul(left_, right_);
    if (left_.dtype() != right_.dtype() && is_integral(left_.dtype())) {
      // A sum of integers is int64.
      left_ = ops::to(left_, std::optional<DType>(DType::Int64));
      right_ = ops::to(right_, std::optional<DType>(DType::Int64));
    }
    const int64_t batch = extent(left_, batch_);
    const int64_t inner = extent(left_, contracted_);
    const Tensor a =
        ops::reshape(ops::permute(left_, order({&batch_, &left_only_, &contracted_, &right_only_})),
                     Dims{batch, extent(left_, left_only_), inner});
    const Tensor b = ops::reshape(
        ops::permute(right_, order({&batch_, &contracted_, &right_only_, &left_only_})),
        Dims{batch, inner, extent(right_, right_only_)});
    const Dims stored = order({&batch_, &left_only_, &contracted_, &right_only_});
    Dims sizes;
    Dims back(stored.size(), 0);
    for (size_t i = 0; i < stored.size(); ++i) {
      back[static_cast<size_t>(stored[i])] = static_cast<int64_t>(i);
      const bool contracted =
          std::find(contracted_.begin(), contracted_.end(), stored[i]) != contracted_.end();
      sizes.push_back(contracted ? 1 : std::max(left_.size(stored[i]), right_.size(stored[i])));
      if (left_.size(stored[i]) == 0 || right_.size(stored[i]) == 0) {
        if (!contracted) sizes.back() = 0;
      }
    }
    return ops::permute(ops::reshape(ops::bmm(a, b), sizes), back);
  }

 private:
  void classify(int64_t d, bool summed) {
    const bool in_left = left_.size(d) != 1;
    const bool in_right = right_.size(d) != 1;
    if (summed && in_left && in_right) {
      contracted_.push_back(d);
    } else if (summed && in_left) {
      left_ = ops::sum(left_, Dims{d}, true);
      left_only_.push_back(d);
    } else if (summed && in_right) {
      right_ = ops::sum(right_, Dims{d}, true);
      right_only_.push_back(d);
    } else if (in_left && in_right) {
      batch_.push_back(d);
    } else {
      (in_left ? left_only_ : right_only_).push_back(d);
    }
  }

  static int64_t extent(const Tensor& x, const Dims& dims) {
    int64_t n = 1;
    for (int64_t d : dims) n *= x.size(d);
    return n;
  }

  static Dims order(std::initializer_list<const Dims*> groups) {
    Dims all;
    for (const Dims* group : groups) {
      for (int64_t d : *group) all.push_back(d);
    }
    return all;
  }

  Tensor left_, right_;
  Dims batch_, left_only_, right_only_, contracted_;
};

// Labels that only this pair still holds and that the result does not have.
std::vector<bool> summed_dims(const TensorList& operands, size_t a, size_t b, size_t out_dims) {
  std::vector<bool> summed(operands[a].ndim(), false);
  for (size_t d = out_dims; d < summed.size(); ++d) {
    summed[d] = true;
    for (size_t i = 0; i < operands.size(); ++i) {
      if (i != a && i != b && operands[i].sizes()[d] != 1) summed[d] = false;
    }
  }
  return summed;
}

// Elements of a pair's product less those of the pair: the smaller, the better to multiply it now.
double growth(const TensorList& operands, size_t a, size_t b, size_t out_dims) {
  const std::vector<bool> summed = summed_dims(operands, a, b, out_dims);
  double result = 1;
  for (size_t d = 0; d < summed.size(); ++d) {
    const int64_t size = std::max(operands[a].sizes()[d], operands[b].sizes()[d]);
    if (!summed[d]) result *= static_cast<double>(size);
  }
  return result - static_cast<double>(operands[a].numel()) -
         static_cast<double>(operands[b].numel());
}

Tensor contract(TensorList operands, size_t out_dims) {
  while (operands.size() > 1) {
    size_t first = 0;
    size_t second = 1;
    double least = growth(operands, 0, 1, out_dims);
    for (size_t i = 0; operands.size() > 2 && i < operands.size(); ++i) {
      for (size_t j = i + 1; j < operands.size(); ++j) {
        const double cost = growth(operands, i, j, out_dims);
        if (cost >= least) continue;
        least = cost;
        first = i;
        second = j;
      }
    }
    const std::vector<bool> summed = summed_dims(operands, first, second, out_dims);
    operands[first] = PairProduct(operands[first], operands[second], summed).run();
    operands.erase(operands.begin() + static_cast<std::ptrdiff_t>(second));
  }
  Dims rest;
  Dims ones;
  const Tensor& x = operands[0];
  for (size_t d = out_dims; d < x.ndim(); ++d) {
    (x.sizes()[d] == 1 ? ones : rest).push_back(static_cast<int64_t>(d));
  }
  const Tensor total = rest.empty() ? x : ops::sum(x, rest, true);
  Dims all = rest;
  for (int64_t d : ones) all.push_back(d);
  return all.empty() ? total : ops::squeeze(total, all);
}

void check_broadcast(const TensorList& operands) {
  for (size_t d = 0; d < operands[0].ndim(); ++d) {
    int64_t size = 1;
    for (size_t i = 0; i < operands.size(); ++i) {
      const int64_t own = operands[i].sizes()[d];
      AG_CHECK(own == 1 || size == 1 || own == size, Shape,
               "einsum: operands do not broadcast with remapped shapes, operand ",
               static_cast<int64_t>(i), " is ", operands[i].sizes(), " where another has size ",
               size, " in dimension ", static_cast<int64_t>(d));
      if (own != 1) size = own;
    }
  }
}

}  // namespace

namespace impl {

Tensor einsum(const std::string& equation, const TensorList& operands) {
  AG_CHECK(!operands.empty(), Value, "einsum: must provide at least one operand");
  for (const Tensor& t : operands) {
    AG_CHECK(t.defined(), Type, "einsum: argument 'operands' must hold tensors only");
  }
  const Equation parsed(equation, operands);
  TensorList arranged;
  for (size_t i = 0; i < operands.size(); ++i) arranged.push_back(parsed.arrange(i, operands[i]));
  check_broadcast(arranged);
  return contract(std::move(arranged), parsed.out_dims());
}

Tensor tensordot(const Tensor& input, const Tensor& other, DimsView dims_input,
                 DimsView dims_other) {
  AG_CHECK(dims_input.size() == dims_other.size(), Value,
           "tensordot: both dimension lists should have same length, got ",
           static_cast<int64_t>(dims_input.size()), " and ",
           static_cast<int64_t>(dims_other.size()));
  Tensor left = input;
  Tensor right = other;
  const uint64_t left_mask = dim_mask("tensordot", dims_input, input.ndim(), false);
  const uint64_t right_mask = dim_mask("tensordot", dims_other, other.ndim(), false);
  Dims left_inner;
  Dims right_inner;
  for (size_t i = 0; i < dims_input.size(); ++i) {
    const int64_t a = wrap_dim("tensordot", dims_input[i], input.ndim());
    const int64_t b = wrap_dim("tensordot", dims_other[i], other.ndim());
    left_inner.push_back(a);
    right_inner.push_back(b);
    const int64_t size_a = left.size(a);
    const int64_t size_b = right.size(b);
    // A size of 1 stands for any: the other side is summed.
    if (size_b == 1 && size_a != 1) {
      left = ops::sum(left, Dims{a}, true, left.dtype());
    } else if (size_a == 1 && size_b != 1) {
      right = ops::sum(right, Dims{b}, true, right.dtype());
    }
    AG_CHECK(left.size(a) == right.size(b), Shape,
             "tensordot: contracted dimensions need to match, but first has size ", size_a,
             " in dim ", a, " and second has size ", size_b, " in dim ", b);
  }
  Dims sizes;
  Dims left_order;
  Dims right_order = right_inner;
  int64_t rows = 1;
  int64_t columns = 1;
  int64_t inner = 1;
  for (size_t d = 0; d < left.ndim(); ++d) {
    if ((left_mask >> d & 1u) != 0) continue;
    left_order.push_back(static_cast<int64_t>(d));
    sizes.push_back(left.sizes()[d]);
    rows *= left.sizes()[d];
  }
  for (int64_t d : left_inner) {
    left_order.push_back(d);
    inner *= left.size(d);
  }
  for (size_t d = 0; d < right.ndim(); ++d) {
    if ((right_mask >> d & 1u) != 0) continue;
    right_order.push_back(static_cast<int64_t>(d));
    sizes.push_back(right.sizes()[d]);
    columns *= right.sizes()[d];
  }
  const Tensor a = ops::reshape(ops::permute(left, left_order), Dims{rows, inner});
  const Tensor b = ops::reshape(ops::permute(right, right_order), Dims{inner, columns});
  return ops::reshape(ops::mm(a, b), sizes);
}

Tensor kron(const Tensor& input, const Tensor& other) {
  const size_t n = std::max(input.ndim(), other.ndim());
  AG_CHECK(2 * n <= static_cast<size_t>(kMaxDims), Range, "kron: tensors of ",
           static_cast<int64_t>(n), " dimensions have too many of them");
  Dims a;
  Dims b;
  for (size_t d = 0; d < n; ++d) {
    const size_t skip_a = n - input.ndim();
    const size_t skip_b = n - other.ndim();
    a.push_back(d < skip_a ? 1 : input.sizes()[d - skip_a]);
    a.push_back(1);
    b.push_back(1);
    b.push_back(d < skip_b ? 1 : other.sizes()[d - skip_b]);
  }
  const Tensor product = ops::mul(ops::reshape(input, a), ops::reshape(other, b));
  Dims sizes;
  for (size_t d = 0; d < n; ++d) sizes.push_back(a[2 * d] * b[2 * d + 1]);
  return ops::reshape(product, sizes);
}

}  // namespace impl
}  // namespace ampgrad
