#include "binding/function.h"

#include <cmath>

namespace ampgrad::binding {

bool Call::is_absent(size_t i) const {
  napi_valuetype type = napi_undefined;
  check_status(env, napi_typeof(env, argv[i], &type));
  return type == napi_undefined || type == napi_null;
}

bool Call::boolean(size_t i) const {
  bool b = false;
  AG_CHECK(napi_get_value_bool(env, argv[i], &b) == napi_ok, Type, "expected a boolean, got ",
           describe_value(env, argv[i]));
  return b;
}

int64_t Call::integer(size_t i, const char* where) const {
  double d = 0;
  int64_t n = 0;
  bool lossless = false;
  if (napi_get_value_bigint_int64(env, argv[i], &n, &lossless) == napi_ok && lossless) return n;
  AG_CHECK(napi_get_value_double(env, argv[i], &d) == napi_ok && d == std::trunc(d) &&
               std::abs(d) <= 9007199254740991.0,
           Type, where, ": must be a safe integer, got ", describe_value(env, argv[i]));
  return static_cast<int64_t>(d);
}

Dims Call::dims(size_t i, const char* where) const {
  bool array = false;
  check_status(env, napi_is_array(env, argv[i], &array));
  AG_CHECK(array, Type, where, ": must be an array of integers, got ",
           describe_value(env, argv[i]));
  uint32_t length = 0;
  check_status(env, napi_get_array_length(env, argv[i], &length));
  Dims out;
  for (uint32_t k = 0; k < length; ++k) {
    Call element{env, state, 1, {}};
    check_status(env, napi_get_element(env, argv[i], k, &element.argv[0]));
    out.push_back(element.integer(0, where));
  }
  return out;
}

DType Call::dtype(size_t i, const char* where) const {
  napi_valuetype type = napi_undefined;
  check_status(env, napi_typeof(env, argv[i], &type));
  AG_CHECK(type == napi_string, Type, where, ": argument 'dtype' must be a string, got ",
           describe_value(env, argv[i]));
  const std::string name = string(i);
  DType out{};
  AG_CHECK(parse_dtype(name.data(), name.size(), &out), DType, where,
           ": argument 'dtype' must be a dtype name such as 'float32', got string \"", name, "\"");
  return out;
}

TensorList Call::tensors(size_t i, const char* where) const {
  bool array = false;
  check_status(env, napi_is_array(env, argv[i], &array));
  AG_CHECK(array, Type, where, ": must be an array of Tensors, got ", describe_value(env, argv[i]));
  uint32_t length = 0;
  check_status(env, napi_get_array_length(env, argv[i], &length));
  TensorList out;
  out.reserve(length);
  for (uint32_t k = 0; k < length; ++k) {
    Call element{env, state, 1, {}};
    check_status(env, napi_get_element(env, argv[i], k, &element.argv[0]));
    out.push_back(element.is_absent(0) ? Tensor() : element.tensor(0, where));
  }
  return out;
}

napi_value Call::undefined() const {
  napi_value out;
  check_status(env, napi_get_undefined(env, &out));
  return out;
}

napi_value Call::null() const {
  napi_value out;
  check_status(env, napi_get_null(env, &out));
  return out;
}

napi_value Call::boolean_value(bool b) const {
  napi_value out;
  check_status(env, napi_get_boolean(env, b, &out));
  return out;
}

napi_value Call::number(double d) const {
  napi_value out;
  check_status(env, napi_create_double(env, d, &out));
  return out;
}

napi_value Call::text(std::string_view s) const {
  napi_value out;
  check_status(env, napi_create_string_utf8(env, s.data(), s.size(), &out));
  return out;
}

napi_value Call::ints(DimsView values) const {
  napi_value out;
  check_status(env, napi_create_array_with_length(env, values.size(), &out));
  for (size_t i = 0; i < values.size(); ++i) {
    check_status(env, napi_set_element(env, out, static_cast<uint32_t>(i),
                                       number(static_cast<double>(values[i]))));
  }
  return out;
}

napi_value Call::wrap(const Tensor& t) const {
  return t.defined() ? wrap_tensor(state, t) : null();
}

napi_value Call::wrap_list(const TensorList& list) const {
  napi_value out;
  check_status(env, napi_create_array_with_length(env, list.size(), &out));
  for (size_t i = 0; i < list.size(); ++i) {
    check_status(env, napi_set_element(env, out, static_cast<uint32_t>(i), wrap(list[i])));
  }
  return out;
}

void export_functions(napi_env env, napi_value exports, const Export* list, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    napi_value fn;
    check_status(env, napi_create_function(env, list[i].name, NAPI_AUTO_LENGTH, list[i].callback,
                                           nullptr, &fn));
    check_status(env, napi_set_named_property(env, exports, list[i].name, fn));
  }
}

}  // namespace ampgrad::binding
