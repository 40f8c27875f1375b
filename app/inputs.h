#pragma once
// What a run is given, with the SHA-256 of each file: two runs with the same inputs and the same
// program have the same digest.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "app/scenario/scenario.h"
#include "sim/run_input.h"

namespace hvsim::app {

/// 64 hexadecimal digits.
std::string sha256_of(std::string_view text);
/// The same for a file; throws sim::ConfigError when it cannot be read.
std::string sha256_of_file(const std::filesystem::path& file);

struct InputSources {
    std::vector<std::string> set;  ///< --set options
    std::vector<std::filesystem::path> profiles;
    std::filesystem::path replay;  ///< empty: none
    std::string processor;         ///< what the processor model says of itself
};

/// To be called before the run, which may write to its disk images.
sim::RunInputs run_inputs(const Scenario& scenario, const InputSources& sources);

}  // namespace hvsim::app
