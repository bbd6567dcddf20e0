// Free lists for the small objects that every call makes (tensor handles, storages, graph nodes).
// The collector frees thousands of them at once and the next calls take them back one by one,
// a pattern that general allocators answer slowly. Lists belong to the thread that frees; they
// are bounded and go back to the system when the thread ends.
#pragma once

#include <cstddef>
#include <new>

#include "core/macros.h"

namespace ampgrad {

// Derive from Pooled<T> to allocate exactly T (not its subclasses) from a free list.
template <class T>
class Pooled {
 public:
  static void* operator new(size_t size) {
    if (size != sizeof(T)) return ::operator new(size);
    FreeList& list = free_list();
    if (list.head == nullptr) return ::operator new(sizeof(T));
    Link* link = list.head;
    list.head = link->next;
    --list.count;
    return link;
  }

  static void operator delete(void* block, size_t size) noexcept {
    FreeList& list = free_list();
    if (size != sizeof(T) || list.closed || list.count >= kMaxCount) {
      ::operator delete(block);
      return;
    }
    list.head = ::new (block) Link{list.head};
    ++list.count;
  }

 private:
#if defined(__SANITIZE_ADDRESS__)
  static constexpr size_t kMaxCount = 0;  // reuse would hide errors
#else
  static constexpr size_t kMaxCount = 16384;
#endif

  struct Link {
    Link* next;
  };
  struct FreeList {
    Link* head = nullptr;
    size_t count = 0;
    bool closed = false;
  };
  // Objects may still be freed while the thread's other locals are destroyed, so the list itself is
  // never destroyed: a guard empties and closes it.
  struct Guard {
    FreeList* list;
    ~Guard() {
      list->closed = true;
      while (list->head != nullptr) {
        Link* link = list->head;
        list->head = link->next;
        ::operator delete(link);
      }
    }
  };

  static FreeList& free_list() {
    static thread_local FreeList list;
    static thread_local Guard guard{&list};
    (void)guard;
    return list;
  }
};

}  // namespace ampgrad
