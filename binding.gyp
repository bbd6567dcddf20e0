{
  # One build description: CMake. This target lets node-gyp and prebuildify drive it: its action
  # runs the CMake build, which leaves build/Release/ampgrad.node where they look.
  "targets": [
    {
      "target_name": "ampgrad",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake_build",
          "message": "Building ampgrad.node with CMake",
          "inputs": ["CMakeLists.txt"],
          # The second output is never written, so the action always runs; ninja knows what is stale.
          "outputs": ["<(PRODUCT_DIR)/ampgrad.node", "<(INTERMEDIATE_DIR)/always_run"],
          "action": ["node", "<(module_root_dir)/scripts/build-native.mjs"]
        }
      ]
    }
  ]
}
