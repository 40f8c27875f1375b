#pragma once
// What the loaders of kernels other than Linux have in common: the request, errors about it, the
// places of modules, the flat segments of protected mode.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "devices/firmware/guest_memory_writer.h"
#include "devices/firmware/memory_plan.h"
#include "devices/firmware/start_state.h"

namespace hvsim::devices::firmware {

struct BootModule {
    std::span<const std::uint8_t> bytes;
    std::string name;  ///< the file's path
    std::string text;  ///< the string that the kernel is given with it
};

struct KernelRequest {
    std::span<const std::uint8_t> kernel;
    std::string kernel_name = "kernel";  ///< for error messages: the file's path
    std::string command_line;
    std::vector<BootModule> modules;
    MemoryPlan memory;
    std::uint64_t acpi_rsdp = 0;
    sim::SourceLocation where;  ///< of the kernel in the configuration file
};

/// Low memory that the loaders use; a kernel may take it once it has read what it needs. It lies at
/// the end of conventional memory, where small kernels rarely put anything.
inline constexpr AddressRange kLoaderArea{0x90000, 0x8000};
inline constexpr std::uint64_t kLoaderGdtAddress = 0x90000, kLoaderMapAddress = 0x91000,
                               kLoaderInfoAddress = 0x91500, kLoaderModuleListAddress = 0x92000,
                               kLoaderStringsAddress = 0x93000;
/// Strings and the list of modules must fit their places.
inline constexpr std::size_t kLoaderStringsSize = 0x5000, kMostModules = 128;

/// Throws ConfigError "NAME: problem" at the request's place.
[[noreturn]] void fail_kernel(const KernelRequest& request, const std::string& problem,
                              const std::string& hint = {});

/// Writes all of `bytes`; ConfigError when there is no memory for them.
void put_bytes(const KernelRequest& request, GuestMemoryWriter& memory, std::uint64_t address,
               std::span<const std::uint8_t> bytes);

/// [base, base+length) is the kernel's: ConfigError unless it lies in usable RAM and leaves the
/// loader's own area free.
void check_kernel_range(const KernelRequest& request, const AddressRange& range,
                        const std::string& what);

/// Writes the modules one after the other on pages from `from` on, below 4 GiB, and returns their
/// places. ConfigError when they do not fit or are too many.
std::vector<AddressRange> put_modules(const KernelRequest& request, GuestMemoryWriter& memory,
                                      std::uint64_t from);

/// Strings with their zero bytes, collected and written to kLoaderStringsAddress.
class StringArea {
  public:
    explicit StringArea(const KernelRequest& request) : request_(request) {}
    /// The string's address. ConfigError when it holds a zero byte or there is no more room.
    std::uint32_t add(const std::string& text);
    void write(GuestMemoryWriter& memory) const;

  private:
    const KernelRequest& request_;
    std::vector<std::uint8_t> bytes_;
};

/// 32-bit protected mode without paging, flat segments of 4 GiB, interrupts off, with a GDT of the
/// same segments at kLoaderGdtAddress, which it writes.
StartState protected_mode_start(const KernelRequest& request, GuestMemoryWriter& memory,
                                std::uint64_t entry);

}  // namespace hvsim::devices::firmware
