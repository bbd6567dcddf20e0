# Sourced by what runs under AddressSanitizer and UndefinedBehaviorSanitizer: a build of its own in
# build-cmake-sanitize and build-sanitize, and Node with an addon of it. Any report ends the process
# with an error.
sanitized=$PWD/build-sanitize

# sanitized_build TARGET...: builds these targets of CMakeLists.txt.
sanitized_build() {
  local jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
  mkdir -p "$sanitized"
  {
    node scripts/build-native.mjs --out=build-cmake-sanitize "--target=$1" \
      -DAMPGRAD_SANITIZE=address,undefined -DAMPGRAD_BUILD_TESTS=ON \
      "-DAMPGRAD_ADDON_DIR=$sanitized/build/Release" &&
      cmake --build build-cmake-sanitize --parallel "$jobs" --target "$@"
  } >"$sanitized/build.log" 2>&1 || {
    tail -40 "$sanitized/build.log"
    return 1
  }
}

# sanitized_node ARGUMENT...: node with the addon of the build, which node-gyp-build looks for under
# AMPGRAD_PREBUILD. The runtimes must come before Node itself. Leaks are not looked for: Node frees
# nothing of its own at exit; they are the business of test/memory.
sanitized_node() {
  env "LD_PRELOAD=$(g++ -print-file-name=libasan.so):$(g++ -print-file-name=libubsan.so)" \
    "AMPGRAD_PREBUILD=$sanitized" \
    "ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:${ASAN_OPTIONS:-}" \
    "UBSAN_OPTIONS=print_stacktrace=1:${UBSAN_OPTIONS:-}" node "$@"
}
