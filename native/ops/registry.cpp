// Expands op_table.def into the run-time registry: OpDefs with parsed defaults, boxed callers made
// from the implementations' addresses, the name index, and the kernel table.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <unordered_map>

#include "ops/kernels.h"
#include "ops/ops.h"

namespace ampgrad {

namespace {

using namespace dtypes;

template <OpId Id, class Signature>
struct Boxed;
template <OpId Id, class R, class... A>
struct Boxed<Id, R(A...)> {
  template <R (*Fn)(A...)>
  static void call(const Values& args, Values& results) {
    invoke<Fn>(args, results, std::index_sequence_for<A...>());
  }

 private:
  template <R (*Fn)(A...), size_t... I>
  static void invoke(const Values& args, Values& results, std::index_sequence<I...>) {
    constexpr const SchemaTypes& kSchema = SchemaText<Id>::types;
    if constexpr (std::is_void_v<R>) {
      Fn(ArgTraits<kSchema.kinds[I]>::unbox(args[I])...);
    } else {
      store(Fn(ArgTraits<kSchema.kinds[I]>::unbox(args[I])...), results);
    }
  }
  static void store(Tensor&& t, Values& results) { results.emplace_back(std::move(t)); }
  static void store(TensorList&& t, Values& results) { results.emplace_back(std::move(t)); }
  static void store(bool v, Values& results) { results.emplace_back(v); }
  static void store(int64_t v, Values& results) { results.emplace_back(v); }
  static void store(Scalar v, Values& results) { results.emplace_back(v); }
  template <class... T>
  static void store(std::tuple<T...>&& tuple, Values& results) {
    std::apply([&](auto&&... t) { (results.emplace_back(std::move(t)), ...); }, std::move(tuple));
  }
};

double parse_double(std::string_view text) {
  if (text == "inf") return __builtin_inf();
  if (text == "-inf") return -__builtin_inf();
  double v = 0;
  std::from_chars(text.data(), text.data() + text.size(), v);
  return v;
}

int64_t parse_int(std::string_view text) {
  int64_t v = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), v);
  AG_ASSERT(result.ec == std::errc());
  return v;
}

Scalar parse_scalar(std::string_view text) {
  if (text == "True" || text == "False") return Scalar(text == "True");
  if (text.find_first_of(".einf") == std::string_view::npos) return Scalar(parse_int(text));
  return Scalar(parse_double(text));
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

Dims parse_list(std::string_view text) {
  Dims out;
  AG_ASSERT(text.size() >= 2 && text.front() == '[' && text.back() == ']');
  text = text.substr(1, text.size() - 2);
  while (!text.empty()) {
    const size_t comma = text.find(',');
    out.push_back(parse_int(trim(text.substr(0, comma))));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return out;
}

Value parse_default(ArgKind kind, std::string_view text) {
  if (text.empty() || text == "None") return Value();
  switch (kind) {
    case ArgKind::Bool:
    case ArgKind::OptBool:
      return Value(text == "True");
    case ArgKind::Int:
    case ArgKind::OptInt:
      return Value(parse_int(text));
    case ArgKind::Float:
    case ArgKind::OptFloat:
      return Value(parse_double(text));
    case ArgKind::Scalar:
    case ArgKind::OptScalar:
    case ArgKind::Operand:
      return Value(parse_scalar(text));
    case ArgKind::ScalarOrString:
      if (text.front() != '\'') return Value(parse_scalar(text));
      return Value(std::string(text.substr(1, text.size() - 2)));
    case ArgKind::IntList:
    case ArgKind::OptIntList:
    case ArgKind::IntListOrString:
      return text.front() == '[' ? Value(parse_list(text)) : Value(Dims{parse_int(text)});
    case ArgKind::String:
    case ArgKind::OptString:
      AG_ASSERT(text.size() >= 2 && text.front() == '\'');
      return Value(std::string(text.substr(1, text.size() - 2)));
    case ArgKind::DType:
    case ArgKind::OptDType: {
      DType d{};
      AG_ASSERT(parse_dtype(text.data(), text.size(), &d));
      return Value(d);
    }
    default:
      AG_ASSERT(!"schema default of an unsupported kind");
  }
}

constexpr bool is_optional_kind(ArgKind kind) {
  switch (kind) {
    case ArgKind::OptTensor:
    case ArgKind::OptOperand:
    case ArgKind::OptScalar:
    case ArgKind::OptInt:
    case ArgKind::OptFloat:
    case ArgKind::OptBool:
    case ArgKind::OptIntList:
    case ArgKind::OptFloatList:
    case ArgKind::OptString:
    case ArgKind::OptScalarOrString:
    case ArgKind::OptDType:
    case ArgKind::OptDevice:
      return true;
    default:
      return false;
  }
}

// A row of the table as the compiler lays it out: a list of calls instead would be one long
// function, over which compilers and analyzers take their time.
struct Row {
  OpId id;
  const char* name;
  const char* schema;
  DTypeSet dtypes;
  CastPolicy cast;
  Diff diff;
  Inplace inplace;
  BoxedFn fn;
};

constexpr Row kRows[] = {
#define AG_ROW(name, text, dtypes, cast, diff, inplace) \
  {OpId::name,                                          \
   #name,                                               \
   text,                                                \
   dtypes,                                              \
   casts::cast,                                         \
   Diff::diff,                                          \
   Inplace::inplace,                                    \
   &Boxed<OpId::name, OpSignature<OpId::name>>::call<&impl::name>},
#include "ops/op_table.def"
#undef AG_ROW
};

OpDef make_def(const Row& row) {
  const ParsedSchema parsed = parse_schema(row.schema);
  OpDef def{row.id,
            row.name,
            row.schema,
            {},
            parsed.num_positional,
            parsed.return_kind,
            parsed.num_returns,
            {},
            parsed.is_view,
            row.dtypes,
            row.cast,
            row.diff,
            row.inplace,
            row.fn};
  for (int i = 0; i < parsed.num_args; ++i) {
    const bool required = parsed.defaults[i].empty();
    AG_ASSERT(!(parsed.defaults[i] == "None" && !is_optional_kind(parsed.kinds[i])));
    def.args.push_back({std::string(parsed.names[i]), parsed.kinds[i], required,
                        i >= parsed.num_positional,
                        required ? Value() : parse_default(parsed.kinds[i], parsed.defaults[i])});
  }
  for (int i = 0; i < parsed.num_returns; ++i) {
    if (!parsed.return_names[i].empty()) def.return_names.emplace_back(parsed.return_names[i]);
  }
  return def;
}

const std::vector<OpDef>& registry() {
  static const std::vector<OpDef>* defs = [] {
    auto* list = new std::vector<OpDef>();
    list->reserve(kNumOps);
    for (const Row& row : kRows) list->push_back(make_def(row));
    return list;
  }();
  return *defs;
}

}  // namespace

const OpDef& op_def(OpId id) {
  static const OpDef* first = registry().data();
  return first[static_cast<int>(id)];
}

bool is_factory(const OpDef& op) {
  const auto has = [&](const char* name) {
    return std::any_of(op.args.begin(), op.args.end(),
                       [&](const ArgDef& a) { return a.name == name; });
  };
  return op.diff == Diff::No && has("device") && has("dtype");
}

const OpDef* find_op(std::string_view name) {
  static const auto* index = [] {
    auto* map = new std::unordered_map<std::string_view, const OpDef*>();
    for (const OpDef& def : registry()) map->emplace(def.name, &def);
    return map;
  }();
  const auto it = index->find(name);
  return it == index->end() ? nullptr : it->second;
}

KernelCell& KernelTable::cell(OpId op, DeviceType device, DType dtype) {
  static KernelCell cells[kNumOps][kNumDeviceTypes][kNumDTypes];
  return cells[static_cast<int>(op)][static_cast<int>(device)][static_cast<int>(dtype)];
}

}  // namespace ampgrad
