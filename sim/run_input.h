#pragma once
// What a run was given: two runs can be compared when all of it is the same.
#include <string>
#include <vector>

namespace hvsim::sim {

/// One thing that a run read. `role`: the scenario's key ("vm[0].kernel"), or "scenario",
/// "timing_profile", "processor_model", "replay".
struct RunInput {
    std::string role;
    std::string file;    ///< as the run found it; for people
    std::string sha256;  ///< 64 hexadecimal digits
    bool operator==(const RunInput&) const = default;
};

struct RunInputs {
    std::vector<RunInput> files;
    /// Single values of the scenario that the command line replaced: "host.vendor=\"amd\"". Those
    /// that only name a file are among the files.
    std::vector<std::string> settings;
    bool operator==(const RunInputs&) const = default;
};

}  // namespace hvsim::sim
