// The public C++ API, derived from op_table.def: ampgrad::ops::<name>(...) runs an op through the
// whole pipeline; ampgrad::impl::<name> is the implementation that ops/<family>.cpp defines.
// Trailing arguments may be left out: the schema's defaults apply.
#pragma once

#include <utility>

#include "ops/op.h"

namespace ampgrad {

template <OpId Id>
struct SchemaText;

#define AG_ROW(name, schema_text, ...)                             \
  template <>                                                      \
  struct SchemaText<OpId::name> {                                  \
    static constexpr SchemaTypes types = parse_types(schema_text); \
  };
#include "ops/op_table.def"
#undef AG_ROW

namespace detail {

template <ReturnKind K, int N>
struct ReturnType {
  using type = Tensor;
};
template <>
struct ReturnType<ReturnKind::Tensor, 2> {
  using type = std::tuple<Tensor, Tensor>;
};
template <>
struct ReturnType<ReturnKind::Tensor, 3> {
  using type = std::tuple<Tensor, Tensor, Tensor>;
};
template <>
struct ReturnType<ReturnKind::Tensor, 4> {
  using type = std::tuple<Tensor, Tensor, Tensor, Tensor>;
};
template <>
struct ReturnType<ReturnKind::TensorList, 0> {
  using type = TensorList;
};
template <>
struct ReturnType<ReturnKind::Bool, 0> {
  using type = bool;
};
template <>
struct ReturnType<ReturnKind::Scalar, 0> {
  using type = Scalar;
};
template <>
struct ReturnType<ReturnKind::Int, 0> {
  using type = int64_t;
};
template <>
struct ReturnType<ReturnKind::None, 0> {
  using type = void;
};

template <OpId Id, class Indices>
struct SignatureOf;
template <OpId Id, size_t... I>
struct SignatureOf<Id, std::index_sequence<I...>> {
  static constexpr const SchemaTypes& kSchema = SchemaText<Id>::types;
  using result = typename ReturnType<kSchema.return_kind, kSchema.num_returns>::type;
  using type = result(typename ArgTraits<kSchema.kinds[I]>::type...);
};

}  // namespace detail

// The function type that the schema of an op stands for.
template <OpId Id>
using OpSignature = typename detail::SignatureOf<
    Id, std::make_index_sequence<static_cast<size_t>(SchemaText<Id>::types.num_args)>>::type;

namespace impl {
#define AG_ROW(name, ...) OpSignature<OpId::name> name;
#include "ops/op_table.def"
#undef AG_ROW
}  // namespace impl

// The pipeline (runtime/call.cpp): autocast -> implementation -> record. `args` are consumed.
void call_op(const OpDef& op, Values& args, Values& results);
// self.op_(...): the result is written into args[0].
void call_op_inplace(const OpDef& op, Values& args);
// op(..., out=...): the results are written into `outs`, which PyTorch's rules for `out` hold for:
// the result's dtype must be castable to the target's, no gradients are recorded, autocast is off.
// A target without elements takes the result's shape: its element of `outs` is replaced.
void call_op_out(const OpDef& op, Values& args, TensorList& outs);

namespace detail {

template <class R>
R unbox_result(Values& results) {
  if constexpr (std::is_same_v<R, Tensor>) {
    return std::move(results[0].get<Tensor>());
  } else if constexpr (std::is_same_v<R, TensorList>) {
    return std::move(results[0].get<TensorList>());
  } else if constexpr (std::is_same_v<R, std::tuple<Tensor, Tensor>>) {
    return {results[0].get<Tensor>(), results[1].get<Tensor>()};
  } else if constexpr (std::is_same_v<R, std::tuple<Tensor, Tensor, Tensor>>) {
    return {results[0].get<Tensor>(), results[1].get<Tensor>(), results[2].get<Tensor>()};
  } else if constexpr (std::is_same_v<R, std::tuple<Tensor, Tensor, Tensor, Tensor>>) {
    return {results[0].get<Tensor>(), results[1].get<Tensor>(), results[2].get<Tensor>(),
            results[3].get<Tensor>()};
  } else if constexpr (!std::is_void_v<R>) {
    return results[0].get<R>();
  }
}

template <OpId Id, class Signature>
struct OpCaller;
template <OpId Id, class R, class... A>
struct OpCaller<Id, R(A...)> {
  R operator()(A... args) const {
    Values boxed;
    boxed.reserve(sizeof...(A));
    (boxed.push_back(box_arg(args)), ...);
    return run(boxed);
  }
  // Fewer arguments: the rest takes the schema's defaults.
  template <class... B>
  requires(sizeof...(B) < sizeof...(A)) R operator()(const B&... args) const {
    return with_defaults(std::index_sequence_for<B...>(), args...);
  }

 private:
  static R run(Values& boxed) {
    Values results;
    call_op(op_def(Id), boxed, results);
    return unbox_result<R>(results);
  }
  template <size_t... I, class... B>
  static R with_defaults(std::index_sequence<I...>, const B&... args) {
    using Params = std::tuple<A...>;
    Values boxed;
    boxed.reserve(sizeof...(A));
    (boxed.push_back(box_arg(static_cast<std::tuple_element_t<I, Params>>(args))), ...);
    const std::vector<ArgDef>& defs = op_def(Id).args;
    for (size_t i = sizeof...(B); i < sizeof...(A); ++i) boxed.push_back(defs[i].default_value);
    return run(boxed);
  }
};

}  // namespace detail

namespace ops {
#define AG_ROW(name, ...) \
  inline constexpr detail::OpCaller<OpId::name, OpSignature<OpId::name>> name{};
#include "ops/op_table.def"
#undef AG_ROW
}  // namespace ops

}  // namespace ampgrad
