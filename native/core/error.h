// The engine's typed error. AG_CHECK raises what a caller did wrong; AG_ASSERT raises what we did
// wrong. The binding turns codes into JavaScript classes: Type -> TypeError, Range -> RangeError,
// all others -> TensorError with the code's name. Nothing in the engine aborts the process.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include "core/macros.h"

namespace ampgrad {

enum class ErrorCode : uint8_t {
  Type,            // TypeError, ERR_TYPE: an argument of the wrong kind
  Range,           // RangeError, ERR_RANGE: axis, index or size out of range
  Shape,           // ERR_SHAPE
  DType,           // ERR_DTYPE
  Device,          // ERR_DEVICE
  OutOfMemory,     // ERR_OOM
  Cuda,            // ERR_CUDA
  Autograd,        // ERR_AUTOGRAD
  Value,           // RangeError, ERR_VALUE: right kind, meaningless value
  Disposed,        // ERR_DISPOSED
  NotImplemented,  // ERR_NOT_IMPLEMENTED: no kernel for this dtype on this device
  Linalg,          // ERR_LINALG: a matrix that is singular, not positive definite, not finite, ...
  Internal,        // ERR_INTERNAL
};

const char* error_code_name(ErrorCode code);

class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}
  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ErrorCode code_;
  std::string message_;
};

namespace detail {
// Accepted pieces of a message; everything is converted to text out of line to keep calls small.
class MessageBuilder {
 public:
  MessageBuilder& operator<<(std::string_view s);
  MessageBuilder& operator<<(const char* s) { return *this << std::string_view(s); }
  MessageBuilder& operator<<(const std::string& s) { return *this << std::string_view(s); }
  MessageBuilder& operator<<(bool b) { return *this << (b ? "true" : "false"); }
  MessageBuilder& operator<<(int v) { return *this << static_cast<int64_t>(v); }
  MessageBuilder& operator<<(int64_t v);
  MessageBuilder& operator<<(uint64_t v);
  MessageBuilder& operator<<(double v);
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

[[noreturn]] void raise(ErrorCode code, std::string message);
[[noreturn]] void raise_internal(const char* file, int line, const char* condition);

template <class... Args>
[[noreturn]] AG_NOINLINE void raise_message(ErrorCode code, const Args&... args) {
  MessageBuilder builder;
  (builder << ... << args);
  raise(code, builder.take());
}
}  // namespace detail

// AG_CHECK(condition, Shape, "matmul: expected ...", value, ...)
#define AG_CHECK(condition, code, ...)                                           \
  do {                                                                           \
    if (AG_UNLIKELY(!(condition)))                                               \
      ::ampgrad::detail::raise_message(::ampgrad::ErrorCode::code, __VA_ARGS__); \
  } while (0)

#define AG_FAIL(code, ...) ::ampgrad::detail::raise_message(::ampgrad::ErrorCode::code, __VA_ARGS__)

#define AG_ASSERT(condition)                                             \
  do {                                                                   \
    if (AG_UNLIKELY(!(condition)))                                       \
      ::ampgrad::detail::raise_internal(__FILE__, __LINE__, #condition); \
  } while (0)

}  // namespace ampgrad
