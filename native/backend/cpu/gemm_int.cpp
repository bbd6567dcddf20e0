// Matrix products of integers and booleans: plain loops. Sums wrap, so accumulating 32 bits modulo
// 2^32 leaves the same low bits as 64 would; only int64 needs the wider type. For booleans a
// product is `and`, a sum is `or`.
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "backend/cpu/gemm_kernels.h"
#include "core/error.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kColumns = 256;

template <class Acc, class T>
void sum_products(const T* a, int64_t a_k, const T* b, int64_t b_k, int64_t b_col, int64_t k,
                  int64_t cols, Acc* sums) {
  if (b_col == 1) {
    for (int64_t p = 0; p < k; ++p) {
      const Acc x = static_cast<Acc>(a[p * a_k]);
      const T* row = b + p * b_k;
      for (int64_t j = 0; j < cols; ++j) sums[j] += x * static_cast<Acc>(row[j]);
    }
    return;
  }
  for (int64_t j = 0; j < cols; ++j) {
    const T* column = b + j * b_col;
    Acc sum = 0;
    for (int64_t p = 0; p < k; ++p) {
      sum += static_cast<Acc>(a[p * a_k]) * static_cast<Acc>(column[p * b_k]);
    }
    sums[j] = sum;
  }
}

template <class T>
void integer_product(const GemmParams& p) {
  using Acc = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  const T* bias = static_cast<const T*>(p.bias);
  const Acc alpha = static_cast<Acc>(static_cast<int64_t>(p.alpha));
  const Acc beta = static_cast<Acc>(static_cast<int64_t>(p.beta));
  Acc sums[kColumns];
  for (int64_t j = 0; j < p.n; j += kColumns) {
    const int64_t cols = std::min(kColumns, p.n - j);
    const T* b = static_cast<const T*>(p.b) + j * p.b_col;
    for (int64_t i = 0; i < p.m; ++i) {
      std::fill(sums, sums + cols, Acc{0});
      sum_products(static_cast<const T*>(p.a) + i * p.a_row, p.a_col, b, p.b_row, p.b_col, p.k,
                   cols, sums);
      T* c = static_cast<T*>(p.c) + i * p.c_row + j;
      for (int64_t x = 0; x < cols; ++x) {
        Acc v = alpha * sums[x];
        if (p.beta != 0) v += beta * static_cast<Acc>(c[x]);
        if (bias != nullptr) v += static_cast<Acc>(bias[j + x]);
        c[x] = static_cast<T>(v);
      }
    }
  }
}

void bool_product(const GemmParams& p) {
  const auto* a = static_cast<const bool*>(p.a);
  const auto* b = static_cast<const bool*>(p.b);
  const auto* bias = static_cast<const bool*>(p.bias);
  for (int64_t i = 0; i < p.m; ++i) {
    bool* c = static_cast<bool*>(p.c) + i * p.c_row;
    for (int64_t j = 0; j < p.n; ++j) {
      bool sum = false;
      for (int64_t q = 0; q < p.k && !sum; ++q) {
        sum = a[i * p.a_row + q * p.a_col] && b[q * p.b_row + j * p.b_col];
      }
      sum = sum && p.alpha != 0;
      if (p.beta != 0) sum = sum || c[j];
      if (bias != nullptr) sum = sum || bias[j];
      c[j] = sum;
    }
  }
}

}  // namespace

void gemm_integer(const GemmParams& params) {
  switch (params.dtype) {
    case DType::Bool:
      return bool_product(params);
    case DType::UInt8:
      return integer_product<uint8_t>(params);
    case DType::Int8:
      return integer_product<int8_t>(params);
    case DType::Int16:
      return integer_product<int16_t>(params);
    case DType::Int32:
      return integer_product<int32_t>(params);
    case DType::Int64:
      return integer_product<int64_t>(params);
    default:
      AG_ASSERT(!"integer dtype");
  }
}

}  // namespace ampgrad::cpu
