#include "amp/cast_cache.h"

namespace ampgrad {

CastCache& CastCache::get() {
  static thread_local CastCache cache;
  return cache;
}

// A handle can be given other memory (x.data = y), and whoever got hold of the cast could have
// written to it.
bool CastCache::Entry::fresh() const {
  return source.storage() == storage && source.version() == version && source.offset() == offset &&
         source.sizes() == sizes && source.strides() == strides && cast.version() == cast_version;
}

Tensor CastCache::find(const Tensor& source, DType dtype) {
  const auto it = entries_.find({source.impl(), dtype});
  if (it == entries_.end()) return Tensor();
  if (it->second.fresh()) return it->second.cast;
  entries_.erase(it);
  return Tensor();
}

void CastCache::insert(const Tensor& source, const Tensor& cast) {
  entries_.insert_or_assign(Key{source.impl(), cast.dtype()},
                            Entry{source, source.storage(), source.version(), source.offset(),
                                  source.sizes(), source.strides(), cast, cast.version()});
}

void CastCache::clear() {
  // What the entries own may run other code when it goes: let go of it from outside.
  std::unordered_map<Key, Entry, KeyHash> gone;
  gone.swap(entries_);
}

int64_t CastCache::bytes() const {
  int64_t total = 0;
  for (const auto& [key, entry] : entries_) total += static_cast<int64_t>(entry.cast.nbytes());
  return total;
}

}  // namespace ampgrad
