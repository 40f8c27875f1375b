#include "devices/firmware/kernel_request.h"

#include <fmt/format.h>

#include <algorithm>

#include "devices/byte_order.h"
#include "sim/ram.h"

namespace hvsim::devices::firmware {
namespace {

// Null, an unused one, code and data of 4 GiB, a task state segment that is never used.
constexpr std::array<std::uint64_t, 6> kGdt{
    0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00008b0000000067, 0};
constexpr std::uint16_t kCode = 0x10, kData = 0x18, kTask = 0x20;
constexpr std::uint64_t kCr0 = 0x11;  // PE, ET

bool overlap(const AddressRange& a, const AddressRange& b) {
    return a.length != 0 && b.length != 0 && a.base < b.end() && b.base < a.end();
}

bool inside(const AddressRange& part, const AddressRange& whole) {
    return part.base >= whole.base && part.length <= whole.length &&
           part.base - whole.base <= whole.length - part.length;
}

}  // namespace

void fail_kernel(const KernelRequest& request, const std::string& problem,
                 const std::string& hint) {
    throw sim::ConfigError(request.where, fmt::format("{}: {}", request.kernel_name, problem),
                           hint);
}

void put_bytes(const KernelRequest& request, GuestMemoryWriter& memory, std::uint64_t address,
               std::span<const std::uint8_t> bytes) {
    if (!bytes.empty() && !memory.write(address, bytes))
        fail_kernel(request,
                    fmt::format("no memory at {:#x}-{:#x}", address, address + bytes.size() - 1),
                    "the machine's memory does not match its RAM size");
}

void check_kernel_range(const KernelRequest& request, const AddressRange& range,
                        const std::string& what) {
    if (range.length == 0) return;
    if (range.length - 1 > ~std::uint64_t{0} - range.base)
        fail_kernel(request, fmt::format("{} of {:#x} bytes at {:#x} runs past the address space",
                                         what, range.length, range.base));
    const std::uint64_t last = range.base + (range.length - 1);
    if (!inside(range, request.memory.low_ram) && !inside(range, request.memory.high_ram))
        fail_kernel(request,
                    fmt::format("{} at {:#x}-{:#x} is not in RAM, which has {} MiB", what,
                                range.base, last, request.memory.ram_bytes / kMebibyte),
                    "give the machine more RAM, or link the kernel to another address");
    if (overlap(range, kFirmwareArea))
        fail_kernel(
            request,
            fmt::format("{} at {:#x}-{:#x} covers the firmware's tables at {:#x}-{:#x}", what,
                        range.base, last, kFirmwareArea.base, kFirmwareArea.end() - 1),
            "link the kernel to 1 MiB or above");
    if (overlap(range, kLoaderArea))
        fail_kernel(request,
                    fmt::format("{} at {:#x}-{:#x} covers the loader's information at "
                                "{:#x}-{:#x}",
                                what, range.base, last, kLoaderArea.base, kLoaderArea.end() - 1),
                    "link the kernel to 1 MiB or above");
}

std::vector<AddressRange> put_modules(const KernelRequest& request, GuestMemoryWriter& memory,
                                      std::uint64_t from) {
    if (request.modules.size() > kMostModules)
        fail_kernel(request, fmt::format("{} modules; at most {} are possible",
                                         request.modules.size(), kMostModules));
    std::vector<AddressRange> places;
    std::uint64_t next = std::max(from, kMebibyte);
    for (const BootModule& module : request.modules) {
        next = (next + sim::kPageSize - 1) & ~(sim::kPageSize - 1);
        const AddressRange place{next, module.bytes.size()};
        if (!inside(place, request.memory.low_ram))
            throw sim::ConfigError(
                request.where,
                fmt::format("{}: {} KiB do not fit RAM below 4 GiB behind {:#x}", module.name,
                            (module.bytes.size() + 1023) / 1024, next),
                "give the machine more RAM");
        put_bytes(request, memory, place.base, module.bytes);
        places.push_back(place);
        next = place.end();
    }
    return places;
}

std::uint32_t StringArea::add(const std::string& text) {
    if (text.find('\0') != std::string::npos)
        fail_kernel(request_, "a command line contains a zero byte", "remove it");
    if (text.size() >= kLoaderStringsSize - bytes_.size())
        fail_kernel(
            request_,
            fmt::format("the command lines have more than {} characters", kLoaderStringsSize),
            "shorten them");
    const std::size_t at = bytes_.size();
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    bytes_.push_back(0);
    return static_cast<std::uint32_t>(kLoaderStringsAddress + at);
}

void StringArea::write(GuestMemoryWriter& memory) const {
    put_bytes(request_, memory, kLoaderStringsAddress, bytes_);
}

StartState protected_mode_start(const KernelRequest& request, GuestMemoryWriter& memory,
                                std::uint64_t entry) {
    std::vector<std::uint8_t> gdt(sizeof(kGdt));
    for (std::size_t i = 0; i < kGdt.size(); ++i) store_le<std::uint64_t>(gdt, i * 8, kGdt[i]);
    put_bytes(request, memory, kLoaderGdtAddress, gdt);
    const BootSegment data{kData, 0, 0xffffffff, 0xc093};
    StartState state;
    state.cs = {kCode, 0, 0xffffffff, 0xc09b};
    state.ds = state.es = state.ss = state.fs = state.gs = data;
    state.tr = {kTask, 0, 0x67, 0x8b};
    state.ldtr = {0, 0, 0, 0x10000};
    state.gdt_base = kLoaderGdtAddress;
    state.gdt_limit = sizeof(kGdt) - 1;
    state.cr0 = kCr0;
    state.rip = entry;
    return state;
}

}  // namespace hvsim::devices::firmware
