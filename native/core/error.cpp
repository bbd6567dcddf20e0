#include "core/error.h"

#include <cmath>
#include <cstdio>

namespace ampgrad {

const char* error_code_name(ErrorCode code) {
  static constexpr const char* kNames[] = {"ERR_TYPE",     "ERR_RANGE",           "ERR_SHAPE",
                                           "ERR_DTYPE",    "ERR_DEVICE",          "ERR_OOM",
                                           "ERR_CUDA",     "ERR_AUTOGRAD",        "ERR_VALUE",
                                           "ERR_DISPOSED", "ERR_NOT_IMPLEMENTED", "ERR_LINALG",
                                           "ERR_INTERNAL"};
  return kNames[static_cast<int>(code)];
}

namespace detail {

MessageBuilder& MessageBuilder::operator<<(std::string_view s) {
  text_.append(s);
  return *this;
}

MessageBuilder& MessageBuilder::operator<<(int64_t v) {
  text_ += std::to_string(v);
  return *this;
}

MessageBuilder& MessageBuilder::operator<<(uint64_t v) {
  text_ += std::to_string(v);
  return *this;
}

MessageBuilder& MessageBuilder::operator<<(double v) {
  if (std::isnan(v)) return *this << "NaN";
  if (std::isinf(v)) return *this << (v < 0 ? "-Infinity" : "Infinity");
  char buffer[32];
  std::snprintf(buffer, sizeof(buffer), "%.9g", v);
  text_ += buffer;
  return *this;
}

void raise(ErrorCode code, std::string message) { throw Error(code, std::move(message)); }

void raise_internal(const char* file, int line, const char* condition) {
  const std::string_view path(file);
  const size_t slash = path.rfind('/');
  MessageBuilder builder;
  builder << "internal error: " << condition << " failed at "
          << path.substr(slash == std::string_view::npos ? 0 : slash + 1) << ":" << line
          << "; please report this with the call that led to it";
  throw Error(ErrorCode::Internal, builder.take());
}

}  // namespace detail
}  // namespace ampgrad
