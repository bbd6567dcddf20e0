#include "binding/call.h"

#include <algorithm>
#include <cmath>

#include "amp/autocast.h"
#include "binding/function.h"
#include "ops/kernels.h"
#include "ops/ops.h"

namespace ampgrad::binding {

namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;

// Where an argument stands, for messages: "softmax: argument 'dim' must be ...".
struct Argument {
  const OpBinding& binding;
  const ArgDef& def;
  napi_env env;
  napi_value value;

  [[noreturn]] void expected(const char* what) const {
    AG_FAIL(Type, binding.op->name, binding.in_place ? "_" : "", ": argument '", def.name,
            "' must be ", what, ", got ", describe_value(env, value));
  }
  [[noreturn]] void out_of_range(const char* what) const {
    AG_FAIL(Range, binding.op->name, ": argument '", def.name, "' ", what, ", got ",
            describe_value(env, value));
  }
};

Value read_tensor(const Argument& a, const char* what) {
  const Handle* handle = handle_of(a.env, a.value);
  if (handle == nullptr) a.expected(what);
  AG_CHECK(handle->tensor.defined(), Disposed, a.binding.op->name, ": argument '", a.def.name,
           "' is a tensor that was disposed");
  return Value(handle->tensor);
}

bool read_scalar(const Argument& a, Scalar* out) {
  double d = 0;
  if (napi_get_value_double(a.env, a.value, &d) == napi_ok) {
    // JavaScript has one number type: integral values count as integers, as in 2 vs 2.5.
    *out = d == std::trunc(d) && std::abs(d) <= kMaxSafeInteger ? Scalar(static_cast<int64_t>(d))
                                                                : Scalar(d);
    return true;
  }
  bool b = false;
  if (napi_get_value_bool(a.env, a.value, &b) == napi_ok) {
    *out = Scalar(b);
    return true;
  }
  int64_t i = 0;
  bool lossless = false;
  if (napi_get_value_bigint_int64(a.env, a.value, &i, &lossless) == napi_ok) {
    if (!lossless) a.out_of_range("must fit into 64 bits");
    *out = Scalar(i);
    return true;
  }
  return false;
}

int64_t read_int(const Argument& a) {
  double d = 0;
  if (napi_get_value_double(a.env, a.value, &d) == napi_ok) {
    if (!(d == std::trunc(d)) || std::isinf(d)) a.expected("an integer");
    if (std::abs(d) > kMaxSafeInteger) a.out_of_range("must be a safe integer");
    return static_cast<int64_t>(d);
  }
  int64_t i = 0;
  bool lossless = false;
  if (napi_get_value_bigint_int64(a.env, a.value, &i, &lossless) == napi_ok) {
    if (!lossless) a.out_of_range("must fit into 64 bits");
    return i;
  }
  a.expected("an integer");
}

double read_float(const Argument& a) {
  double d = 0;
  if (napi_get_value_double(a.env, a.value, &d) != napi_ok) a.expected("a number");
  return d;
}

bool read_bool(const Argument& a) {
  bool b = false;
  if (napi_get_value_bool(a.env, a.value, &b) != napi_ok) a.expected("a boolean");
  return b;
}

bool is_array(const Argument& a) {
  bool result = false;
  napi_is_array(a.env, a.value, &result);
  return result;
}

template <class Read>
void each_element(const Argument& a, Read read) {
  uint32_t length = 0;
  check_status(a.env, napi_get_array_length(a.env, a.value, &length));
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element;
    check_status(a.env, napi_get_element(a.env, a.value, i, &element));
    read(Argument{a.binding, a.def, a.env, element});
  }
}

Dims read_int_list(const Argument& a) {
  Dims out;
  if (is_array(a)) {
    each_element(a, [&](const Argument& e) { out.push_back(read_int(e)); });
    return out;
  }
  double d = 0;
  if (napi_get_value_double(a.env, a.value, &d) != napi_ok) {
    a.expected("an integer or an array of integers");
  }
  return Dims{read_int(a)};
}

Doubles read_float_list(const Argument& a) {
  Doubles out;
  if (!is_array(a)) return Doubles{read_float(a)};
  each_element(a, [&](const Argument& e) { out.push_back(read_float(e)); });
  return out;
}

// Lists by position in which an element may be absent: index tensors of dimensions, and what an
// optimizer step creates when it is not there. Everywhere else a null is a mistake.
bool may_lack_elements(const std::string& name) {
  for (const char* known : {"indices", "params", "grads", "scalars", "states", "masters"}) {
    if (name == known) return true;
  }
  return false;
}

TensorList read_tensor_list(const Argument& a) {
  if (!is_array(a)) a.expected("an array of Tensors");
  TensorList out;
  each_element(a, [&](const Argument& e) {
    napi_valuetype type = napi_undefined;
    napi_typeof(e.env, e.value, &type);
    const bool absent =
        (type == napi_null || type == napi_undefined) && may_lack_elements(e.def.name);
    out.push_back(absent ? Tensor() : read_tensor(e, "an array of Tensors").get<Tensor>());
  });
  return out;
}

std::string read_string(const Argument& a) {
  napi_valuetype type = napi_undefined;
  napi_typeof(a.env, a.value, &type);
  if (type != napi_string) a.expected("a string");
  return string_of(a.env, a.value);
}

Value read_list_or_string(const Argument& a) {
  napi_valuetype type = napi_undefined;
  napi_typeof(a.env, a.value, &type);
  return type == napi_string ? Value(read_string(a)) : Value(read_int_list(a));
}

Value read_scalar_or_string(const Argument& a) {
  napi_valuetype type = napi_undefined;
  napi_typeof(a.env, a.value, &type);
  if (type == napi_string) return Value(read_string(a));
  Scalar s;
  if (!read_scalar(a, &s)) a.expected("a number or a string");
  return Value(s);
}

DType read_dtype(const Argument& a) {
  const std::string name = read_string(a);
  DType dtype{};
  AG_CHECK(parse_dtype(name.data(), name.size(), &dtype), DType, a.binding.op->name, ": argument '",
           a.def.name, "' must be a dtype name such as 'float32', got string \"", name, "\"");
  return dtype;
}

Device read_device(const Argument& a) {
  const std::string name = read_string(a);
  Device device;
  AG_CHECK(parse_device(name.data(), name.size(), &device), Device, a.binding.op->name,
           ": argument '", a.def.name, "' must be 'cpu' or 'cuda:<index>', got string \"", name,
           "\"");
  return device;
}

Value read_value(const Argument& a) {
  switch (a.def.kind) {
    case ArgKind::Tensor:
    case ArgKind::OptTensor:
      return read_tensor(a, "a Tensor");
    case ArgKind::Operand:
    case ArgKind::OptOperand: {
      const Handle* handle = handle_of(a.env, a.value);
      if (handle != nullptr) return read_tensor(a, "a Tensor");
      Scalar s;
      if (!read_scalar(a, &s)) a.expected("a Tensor or a number");
      return Value(s);
    }
    case ArgKind::TensorList:
      return Value(read_tensor_list(a));
    case ArgKind::Scalar:
    case ArgKind::OptScalar: {
      Scalar s;
      if (!read_scalar(a, &s)) a.expected("a number");
      return Value(s);
    }
    case ArgKind::Int:
    case ArgKind::OptInt:
      return Value(read_int(a));
    case ArgKind::Float:
    case ArgKind::OptFloat:
      return Value(read_float(a));
    case ArgKind::Bool:
    case ArgKind::OptBool:
      return Value(read_bool(a));
    case ArgKind::IntList:
    case ArgKind::OptIntList:
      return Value(read_int_list(a));
    case ArgKind::IntListOrString:
      return read_list_or_string(a);
    case ArgKind::ScalarOrString:
    case ArgKind::OptScalarOrString:
      return read_scalar_or_string(a);
    case ArgKind::FloatList:
    case ArgKind::OptFloatList:
      return Value(read_float_list(a));
    case ArgKind::String:
    case ArgKind::OptString:
      return Value(read_string(a));
    case ArgKind::DType:
    case ArgKind::OptDType:
      return Value(read_dtype(a));
    case ArgKind::OptDevice:
      return Value(read_device(a));
  }
  AG_ASSERT(!"argument kind without a reader");
}

// undefined and null stand for "not given"; required arguments must be given.
Value read_argument(const Argument& a) {
  napi_valuetype type = napi_undefined;
  napi_typeof(a.env, a.value, &type);
  if (type == napi_undefined || type == napi_null) {
    AG_CHECK(!a.def.required || a.def.kind == ArgKind::OptTensor, Type, a.binding.op->name,
             ": argument '", a.def.name, "' is required");
    return a.def.default_value;
  }
  return read_value(a);
}

napi_value wrap_result(const OpBinding& binding, napi_env env, const Value& v, size_t argc,
                       const napi_value* argv, const Values& args) {
  napi_value out;
  if (v.is_tensor()) {
    const Tensor& t = v.get<Tensor>();
    // An op may return an argument itself (contiguous, to, ...): so does its JavaScript form,
    // unless autocast put another tensor in the argument's place.
    for (size_t i = 0; i < argc; ++i) {
      if (!args[i].is_tensor() || !args[i].get<Tensor>().is_same(t)) continue;
      const Handle* given = handle_of(env, argv[i]);
      if (given != nullptr && given->tensor.is_same(t)) return argv[i];
    }
    return wrap_tensor(binding.state, t);
  }
  if (v.is<TensorList>()) {
    const TensorList& list = v.get<TensorList>();
    check_status(env, napi_create_array_with_length(env, list.size(), &out));
    for (size_t i = 0; i < list.size(); ++i) {
      napi_value element;
      if (list[i].defined()) {
        element = wrap_tensor(binding.state, list[i]);
      } else {
        check_status(env, napi_get_null(env, &element));
      }
      check_status(env, napi_set_element(env, out, static_cast<uint32_t>(i), element));
    }
    return out;
  }
  if (v.is<bool>()) {
    check_status(env, napi_get_boolean(env, v.get<bool>(), &out));
  } else if (v.is<int64_t>()) {
    check_status(env, napi_create_int64(env, v.get<int64_t>(), &out));
  } else {
    const Scalar s = v.get<Scalar>();
    check_status(env, s.is_bool() ? napi_get_boolean(env, s.to_bool(), &out)
                                  : napi_create_double(env, s.to_double(), &out));
  }
  return out;
}

napi_value wrap_results(const OpBinding& binding, napi_env env, const Values& results, size_t argc,
                        const napi_value* argv, const Values& args) {
  if (results.size() == 1) return wrap_result(binding, env, results[0], argc, argv, args);
  napi_value out;
  check_status(env, napi_create_array_with_length(env, results.size(), &out));
  for (size_t i = 0; i < results.size(); ++i) {
    check_status(env, napi_set_element(env, out, static_cast<uint32_t>(i),
                                       wrap_result(binding, env, results[i], argc, argv, args)));
  }
  return out;
}

// Factories make their result on the default device; an op with a tensor follows its tensor.
void apply_default_device(const OpDef& op, Device device, Values* args) {
  for (const ArgDef& a : op.args) {
    if (a.kind == ArgKind::Tensor || a.kind == ArgKind::TensorList) return;
  }
  for (size_t i = 0; i < op.args.size(); ++i) {
    if (op.args[i].kind == ArgKind::OptDevice && (*args)[i].is_none()) (*args)[i] = Value(device);
  }
}

Values read_arguments(napi_env env, const OpBinding& binding, size_t argc, const napi_value* argv) {
  const OpDef& op = *binding.op;
  AG_CHECK(argc <= op.args.size(), Type, op.name, ": takes at most ",
           static_cast<int64_t>(op.args.size()), " arguments, got ", static_cast<int64_t>(argc));
  Values args;
  args.reserve(op.args.size());
  for (size_t i = 0; i < op.args.size(); ++i) {
    if (i < argc) {
      args.push_back(read_argument({binding, op.args[i], env, argv[i]}));
    } else {
      AG_CHECK(!op.args[i].required || op.args[i].kind == ArgKind::OptTensor, Type, op.name,
               ": argument '", op.args[i].name, "' is required");
      args.push_back(op.args[i].default_value);
    }
  }
  if (AG_UNLIKELY(binding.state->default_device.has_value())) {
    apply_default_device(op, *binding.state->default_device, &args);
  }
  return args;
}

napi_value run_op(napi_env env, const OpBinding& binding, size_t argc, const napi_value* argv) {
  const OpDef& op = *binding.op;
  Values args = read_arguments(env, binding, argc, argv);
  if (binding.in_place || op.inplace == Inplace::Only) {
    call_op_inplace(op, args);
    return argv[0];
  }
  Values results;
  call_op(op, args, results);
  return wrap_results(binding, env, results, argc, argv, args);
}

// A mixture of dtypes is the usual sign of a tensor that left its autocast region.
const char* autocast_hint(bool in_place) {
  if (!Autocast::active()) {
    return " (outside autocast: a result of a region keeps its dtype; convert with .float(), or "
           "give "
           "a custom function amp.customFwd({ castInputs }))";
  }
  if (in_place) return " (inside an autocast region: in-place forms are never cast)";
  return " (inside an autocast region: ops that PyTorch's lists do not name run in the dtypes of "
         "their inputs; convert with .float(), or give a custom function amp.customFwd({ "
         "castInputs }))";
}

napi_value failure_with_hint(napi_env env, const OpBinding& binding, const Error& e) {
  const bool mixture = e.code() == ErrorCode::DType && Autocast::ever_used() &&
                       e.message().find("autocast") == std::string::npos;
  try {
    if (!mixture) throw Error(e);
    const bool in_place = binding.in_place || binding.op->inplace == Inplace::Only;
    throw Error(e.code(), e.message() + autocast_hint(in_place));
  } catch (...) {
    return failure(env);
  }
}

napi_value op_callback(napi_env env, napi_callback_info info) {
  size_t argc = kMaxArgs + 1;
  napi_value argv[kMaxArgs + 1];
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &argc, argv, nullptr, &data) != napi_ok) return nullptr;
  const auto& binding = *static_cast<OpBinding*>(data);
  if (AG_UNLIKELY(!binding.state->dead_refs.empty())) binding.state->drop_dead_refs();
  try {
    return run_op(env, binding, std::min<size_t>(argc, kMaxArgs + 1), argv);
  } catch (const Error& e) {
    return failure_with_hint(env, binding, e);
  } catch (...) {
    return failure(env);
  }
}

void set_string(napi_env env, napi_value object, const char* key, std::string_view text) {
  napi_value value;
  check_status(env, napi_create_string_utf8(env, text.data(), text.size(), &value));
  check_status(env, napi_set_named_property(env, object, key, value));
}

void set_bool(napi_env env, napi_value object, const char* key, bool b) {
  napi_value value;
  check_status(env, napi_get_boolean(env, b, &value));
  check_status(env, napi_set_named_property(env, object, key, value));
}

const char* return_text(const OpDef& op) {
  switch (op.return_kind) {
    case ReturnKind::Tensor:
      return op.num_returns == 1 ? "Tensor" : "Tensors";
    case ReturnKind::TensorList:
      return "Tensor[]";
    case ReturnKind::Bool:
      return "bool";
    case ReturnKind::Scalar:
      return "Scalar";
    case ReturnKind::Int:
      return "int";
    case ReturnKind::None:
      return "None";
  }
  return "None";
}

napi_value string_array(napi_env env, const std::vector<std::string>& texts) {
  napi_value out;
  check_status(env, napi_create_array_with_length(env, texts.size(), &out));
  for (size_t i = 0; i < texts.size(); ++i) {
    napi_value value;
    check_status(env, napi_create_string_utf8(env, texts[i].data(), texts[i].size(), &value));
    check_status(env, napi_set_element(env, out, static_cast<uint32_t>(i), value));
  }
  return out;
}

std::vector<std::string> dtype_names(DTypeSet set) {
  std::vector<std::string> names;
  for (int i = 0; i < kNumDTypes; ++i) {
    if (set.has(static_cast<DType>(i))) names.emplace_back(kDTypeNames[i]);
  }
  return names;
}

std::vector<std::string> kernel_dtypes(OpId op, DeviceType device) {
  std::vector<std::string> names;
  for (int i = 0; i < kNumDTypes; ++i) {
    if (KernelTable::has(op, device, static_cast<DType>(i))) names.emplace_back(kDTypeNames[i]);
  }
  return names;
}

napi_value schema_arguments(napi_env env, const OpDef& op) {
  napi_value list;
  check_status(env, napi_create_array_with_length(env, op.args.size(), &list));
  const ParsedSchema parsed = parse_schema(op.schema);
  for (size_t i = 0; i < op.args.size(); ++i) {
    const ArgDef& a = op.args[i];
    napi_value item;
    check_status(env, napi_create_object(env, &item));
    set_string(env, item, "name", a.name);
    set_string(env, item, "type", kind_text(a.kind));
    set_string(env, item, "default", parsed.defaults[i]);
    set_bool(env, item, "required", a.required);
    set_bool(env, item, "keywordOnly", a.keyword_only);
    check_status(env, napi_set_element(env, list, static_cast<uint32_t>(i), item));
  }
  return list;
}

constexpr const char* kCastNames[] = {"none",    "lower",  "fp32", "fp32Dtype",
                                      "promote", "banned", "keep"};
constexpr const char* kDiffNames[] = {"yes", "no", "composite"};
constexpr const char* kInplaceNames[] = {"no", "yes", "view", "only"};

// The function of an op, made when it is first asked for: a program calls a few dozen of the 700.
napi_value op_function(const Call& c) {
  const std::string name = c.string(0);
  const OpDef* op = find_op(name);
  const bool in_place = op == nullptr && name.ends_with('_');
  if (in_place) op = find_op(std::string_view(name).substr(0, name.size() - 1));
  if (op == nullptr || (in_place && !has_inplace_form(*op))) return c.undefined();
  OpBinding& binding = c.state->ops.emplace_back(OpBinding{op, in_place, c.state});
  napi_value fn;
  check_status(c.env,
               napi_create_function(c.env, name.c_str(), name.size(), op_callback, &binding, &fn));
  return fn;
}

napi_value op_names(const Call& c) {
  std::vector<std::string> names;
  for (int i = 0; i < kNumOps; ++i) {
    const OpDef& op = op_def(static_cast<OpId>(i));
    names.emplace_back(op.name);
    if (has_inplace_form(op)) names.push_back(std::string(op.name) + "_");
  }
  return string_array(c.env, names);
}

}  // namespace

void export_op_functions(napi_env env, napi_value exports) {
  static constexpr Export kExports[] = {
      {"op", entry<op_function>},
      {"opNames", entry<op_names>},
  };
  export_functions(env, exports, kExports, std::size(kExports));
}

void call_into(napi_env env, const OpDef& op, napi_value outs, napi_value values) {
  const OpBinding binding{&op, false, env_state(env)};
  std::vector<Handle*> handles;
  TensorList targets;
  static const ArgDef kOut{"out", ArgKind::Tensor, true, true, Value()};
  each_element({binding, kOut, env, outs}, [&](const Argument& e) {
    targets.push_back(read_tensor(e, "a Tensor").get<Tensor>());
    handles.push_back(handle_of(env, e.value));
  });
  napi_value argv[kMaxArgs + 1];
  size_t argc = 0;
  static const ArgDef kValues{"", ArgKind::Tensor, true, true, Value()};
  each_element({binding, kValues, env, values}, [&](const Argument& e) {
    if (argc <= kMaxArgs) argv[argc++] = e.value;
  });
  Values args = read_arguments(env, binding, argc, argv);
  call_op_out(op, args, targets);
  for (size_t i = 0; i < targets.size(); ++i) handles[i]->tensor = targets[i];
}

napi_value op_schema(napi_env env, const OpDef& op) {
  napi_value item;
  check_status(env, napi_create_object(env, &item));
  set_string(env, item, "name", op.name);
  set_string(env, item, "schema", op.schema);
  set_string(env, item, "returns", return_text(op));
  napi_value policy;
  check_status(env, napi_create_object(env, &policy));
  set_string(env, policy, "cpu", kCastNames[static_cast<int>(op.cast.cpu)]);
  set_string(env, policy, "cuda", kCastNames[static_cast<int>(op.cast.cuda)]);
  check_status(env, napi_set_named_property(env, item, "autocast", policy));
  set_string(env, item, "differentiable", kDiffNames[static_cast<int>(op.diff)]);
  set_string(env, item, "inplace", kInplaceNames[static_cast<int>(op.inplace)]);
  set_bool(env, item, "view", op.is_view);
  set_bool(env, item, "factory", is_factory(op));
  set_bool(env, item, "out", has_out_form(op));
  napi_value value = schema_arguments(env, op);
  check_status(env, napi_set_named_property(env, item, "args", value));
  value = string_array(env, op.return_names);
  check_status(env, napi_set_named_property(env, item, "returnNames", value));
  value = string_array(env, dtype_names(op.dtypes));
  check_status(env, napi_set_named_property(env, item, "dtypes", value));
  value = string_array(env, kernel_dtypes(op.id, DeviceType::Cpu));
  check_status(env, napi_set_named_property(env, item, "cpu", value));
  return item;
}

}  // namespace ampgrad::binding
