#pragma once
#include <string>

#include "app/scenario/scenario.h"
#include "devices/firmware/boot_image.h"

namespace hvsim::app {

/// Reads what a machine boots; `path` is its table in the scenario, "boot" or "vm[0]". Throws
/// ConfigError at the place of the key whose file cannot be read.
devices::firmware::BootImage read_boot_files(const Scenario& scenario, const BootConfig& boot,
                                             const std::string& path);

}  // namespace hvsim::app
