// Lists of tensors in one launch: a block for each piece of one of them, by a table that goes to
// the device with the launch.
#pragma once

#include <vector>

#include "backend/cuda/check.h"
#include "backend/cuda/scratch.h"

namespace ampgrad::cuda {

inline constexpr int64_t kPiece = 16384;  // elements of a block's piece

struct Piece {
  int32_t tensor;
  int64_t begin;
};

// `List`: anything with a numel.
template <class List>
std::vector<Piece> cut(const List* tensors, int64_t count) {
  std::vector<Piece> pieces;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t at = 0; at < tensors[i].numel; at += kPiece) {
      pieces.push_back({static_cast<int32_t>(i), at});
    }
  }
  return pieces;
}

template <class T>
void upload(const std::vector<T>& values, const Scratch& to, const char* what) {
  if (values.empty()) return;
  check(cudaMemcpyAsync(to.as<void>(), values.data(), values.size() * sizeof(T),
                        cudaMemcpyHostToDevice, current_stream()),
        what);
}

// The list and its pieces on the device, for the time of a few launches.
template <class List>
class PieceTable {
 public:
  PieceTable(const List* tensors, int64_t count, const char* what)
      : host_(cut(tensors, count)),
        tensors_(static_cast<size_t>(count) * sizeof(List)),
        pieces_(host_.size() * sizeof(Piece)) {
    upload(std::vector<List>(tensors, tensors + count), tensors_, what);
    upload(host_, pieces_, what);
  }
  int64_t size() const { return static_cast<int64_t>(host_.size()); }
  const List* tensors() const { return tensors_.template as<List>(); }
  const Piece* pieces() const { return pieces_.template as<Piece>(); }

 private:
  std::vector<Piece> host_;
  Scratch tensors_;
  Scratch pieces_;
};

}  // namespace ampgrad::cuda
