// Opens the LAPACK library: first the OpenBLAS that travels beside the addon, then what the system
// has. OpenBLAS is asked for one thread, as this engine threads over batches itself and results
// must not depend on the number of threads.
#include "backend/cpu/lapack.h"

#include <string>
#include <type_traits>

#include "core/error.h"

#ifndef _WIN32
#include <dlfcn.h>
#endif

namespace ampgrad::cpu {

namespace {

#ifdef _WIN32

class Library {
 public:
  explicit Library(const char* path) : error_(std::string(path) + ": not supported on Windows") {}
  explicit operator bool() const { return false; }
  void* find(const char*) const { return nullptr; }
  const std::string& error() const { return error_; }

 private:
  std::string error_;
};

std::string own_folder() { return {}; }

#else

// An opened library; never closed, as its routines may be in use until the process ends.
class Library {
 public:
  explicit Library(const char* path) : handle_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) {
      const char* text = dlerror();
      error_ = text == nullptr ? path : text;
    }
  }
  explicit operator bool() const { return handle_ != nullptr; }
  void* find(const char* name) const { return dlsym(handle_, name); }
  const std::string& error() const { return error_; }

 private:
  void* handle_;
  std::string error_;
};

// The folder of the addon, with a slash; empty if it is unknown.
std::string own_folder() {
  Dl_info info;
  static const char kHere = 0;
  if (dladdr(&kHere, &info) == 0 || info.dli_fname == nullptr) return {};
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

#endif

struct Tables {
  Lapack<float> single;
  Lapack<double> wide;
  std::string error;  // empty: usable
};

// Names every routine of T with its prefix (s, d) and stores its address; false if one is missing.
template <class T>
bool fill(const Library& library, const char* prefix, Lapack<T>* out, std::string* missing) {
  const auto get = [&](const char* name, auto* target) {
    const std::string symbol = std::string(prefix) + name + "_";
    void* address = library.find(symbol.c_str());
    if (address == nullptr && missing->empty()) *missing = symbol;
    *target = reinterpret_cast<std::remove_pointer_t<decltype(target)>>(address);
  };
  get("potrf", &out->potrf);
  get("getrf", &out->getrf);
  get("getrs", &out->getrs);
  get("trsm", &out->trsm);
  get("geqrf", &out->geqrf);
  get("orgqr", &out->orgqr);
  get("syevd", &out->syevd);
  get("gesdd", &out->gesdd);
  get("gels", &out->gels);
  get("gelsy", &out->gelsy);
  get("gelsd", &out->gelsd);
  get("gelss", &out->gelss);
  return missing->empty();
}

bool try_library(const std::string& path, Tables* out) {
  const Library library(path.c_str());
  if (!library) {
    out->error += "\n  " + library.error();
    return false;
  }
  std::string missing;
  if (!fill(library, "s", &out->single, &missing) || !fill(library, "d", &out->wide, &missing)) {
    out->error += "\n  " + path + ": has no " + missing;
    return false;
  }
  using SetThreads = void (*)(int);
  const auto set_threads = reinterpret_cast<SetThreads>(library.find("openblas_set_num_threads"));
  if (set_threads != nullptr) set_threads(1);
  out->error.clear();
  return true;
}

Tables open_tables() {
  Tables tables;
  const std::string folder = own_folder();
  if (!folder.empty()) {
    // What the travelling OpenBLAS needs, opened first so that it is found by name.
    for (const char* name : {"libquadmath.so.0", "libgfortran.so.5"}) {
      const Library dependency((folder + name).c_str());
    }
    if (try_library(folder + "libopenblas.so.0", &tables)) return tables;
  }
#ifdef __APPLE__
  const char* const names[] = {"libopenblas.dylib",
                               "/opt/homebrew/opt/openblas/lib/libopenblas.dylib",
                               "/usr/local/opt/openblas/lib/libopenblas.dylib",
                               "/System/Library/Frameworks/Accelerate.framework/Accelerate"};
#else
  const char* const names[] = {"libopenblas.so.0", "liblapack.so.3"};
#endif
  for (const char* name : names) {
    if (try_library(name, &tables)) return tables;
  }
  return tables;
}

const Tables& tables() {
  static const Tables opened = open_tables();
  AG_CHECK(opened.error.empty(), NotImplemented,
           "linalg: no LAPACK library could be opened. Install OpenBLAS (Debian, Ubuntu: apt-get "
           "install libopenblas0-serial; Fedora: dnf install openblas-serial; macOS: brew install "
           "openblas). Tried:",
           opened.error);
  return opened;
}

}  // namespace

template <>
const Lapack<float>& lapack<float>() {
  return tables().single;
}
template <>
const Lapack<double>& lapack<double>() {
  return tables().wide;
}

}  // namespace ampgrad::cpu
