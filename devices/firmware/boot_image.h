#pragma once
// What a machine boots, whatever it is: files, protocol and words for it, and the one function that
// puts them into memory. Bare machines and virtual ones boot by it.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "devices/firmware/flat_loader.h"
#include "devices/firmware/guest_memory_writer.h"
#include "devices/firmware/memory_plan.h"
#include "devices/firmware/start_state.h"

namespace hvsim::devices::firmware {

enum class BootProtocol : std::uint8_t { automatic, linux_kernel, multiboot, pvh, flat };

struct BootFile {
    std::vector<std::uint8_t> bytes;
    std::string name;   ///< the file's path, for error messages; empty: there is none
    std::string words;  ///< modules: the string that the kernel is given with it
};

struct BootImage {
    BootProtocol protocol = BootProtocol::automatic;
    BootFile kernel;
    BootFile initramfs;             ///< linux, pvh
    std::vector<BootFile> modules;  ///< multiboot, pvh
    /// Nothing: "console=ttyS0" for linux and pvh, otherwise empty.
    std::optional<std::string> command_line;
    FlatStart flat;
    sim::SourceLocation where;  ///< of the kernel in the configuration file
};

/// Writes everything by the image's protocol; `automatic` takes what the kernel's header says:
/// linux, multiboot, or pvh for ELF. Returns the first processor's registers. Throws ConfigError as
/// the loaders do, and when no protocol fits.
StartState load_boot_image(const BootImage& image, const MemoryPlan& plan, std::uint64_t acpi_rsdp,
                           GuestMemoryWriter& memory);

}  // namespace hvsim::devices::firmware
