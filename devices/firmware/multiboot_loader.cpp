#include "devices/firmware/multiboot_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "devices/byte_order.h"
#include "devices/firmware/elf_file.h"
#include "devices/firmware/spec/multiboot.h"

namespace hvsim::devices::firmware {

using namespace spec;

namespace {

constexpr const char* kLoaderName = "hvsim";

std::optional<std::size_t> find_header(std::span<const std::uint8_t> file) {
    const std::size_t end = std::min(file.size(), kMultibootSearch);
    for (std::size_t at = 0; at + kMultibootHeaderSize <= end; at += 4) {
        if (load_le<std::uint32_t>(file, at) != kMultibootHeaderMagic) continue;
        const auto flags = load_le<std::uint32_t>(file, at + kMultibootFlags);
        const auto checksum = load_le<std::uint32_t>(file, at + kMultibootChecksum);
        if (kMultibootHeaderMagic + flags + checksum == 0) return at;
    }
    return std::nullopt;
}

/// Where the kernel went.
struct LoadedKernel {
    std::uint64_t entry = 0;
    std::uint64_t end = 0;
};

/// By the address fields of the header (3.1.3).
LoadedKernel load_by_addresses(const KernelRequest& request, std::size_t header,
                               GuestMemoryWriter& memory) {
    const auto file = request.kernel;
    if (file.size() - header < kMultibootLongHeaderSize)
        fail_kernel(request, fmt::format("truncated: its {} bytes end within the multiboot header",
                                         file.size()));
    const auto field = [&](std::size_t offset) -> std::uint64_t {
        return load_le<std::uint32_t>(file, header + offset);
    };
    const std::uint64_t header_address = field(kMultibootHeaderAddress);
    const std::uint64_t load = field(kMultibootLoadAddress);
    if (load > header_address || header_address - load > header)
        fail_kernel(request,
                    fmt::format("the multiboot header at offset {:#x} claims address {:#x}, but "
                                "the image starts at {:#x}",
                                header, header_address, load));
    const std::size_t begin = header - (header_address - load);
    const std::uint64_t load_end = field(kMultibootLoadEnd);
    const std::uint64_t size = load_end == 0 ? file.size() - begin : load_end - load;
    if (load_end != 0 && (load_end < load || size > file.size() - begin))
        fail_kernel(request, fmt::format("the multiboot header names {:#x}-{:#x}, but the file has "
                                         "{} bytes for it",
                                         load, load_end, file.size() - begin));
    const std::uint64_t end = std::max(load + size, field(kMultibootBssEnd));
    check_kernel_range(request, {load, end - load}, "the image");
    const std::uint64_t entry = field(kMultibootEntry);
    if (entry < load || entry >= end)
        fail_kernel(request, fmt::format("the entry point {:#x} is not in the image at {:#x}-{:#x}",
                                         entry, load, end));
    put_bytes(request, memory, load, file.subspan(begin, size));
    return {entry, end};
}

LoadedKernel load_kernel(const KernelRequest& request, GuestMemoryWriter& memory) {
    const auto header = find_header(request.kernel);
    if (!header)
        fail_kernel(request, "no multiboot header in the first 8192 bytes",
                    "expected the words 0x1badb002, flags and checksum, aligned to 4 bytes");
    const auto flags = load_le<std::uint32_t>(request.kernel, *header + kMultibootFlags);
    const std::uint32_t unknown =
        flags & kMultibootRequirements & ~(kMultibootAlignModules | kMultibootWantMemory);
    if (unknown != 0)
        fail_kernel(request,
                    fmt::format("the multiboot header requires {:#x}; only module alignment and "
                                "memory information (0x3) can be had",
                                unknown),
                    unknown & kMultibootWantVideo ? "the machine has no video" : "");
    if (flags & kMultibootHasAddresses) return load_by_addresses(request, *header, memory);
    const ElfFile elf = parse_elf(request);
    if (elf.end > kFourGibibytes || elf.entry >= kFourGibibytes)
        fail_kernel(request, fmt::format("its end at {:#x} is above 4 GiB", elf.end));
    load_segments(request, elf, memory);
    return {elf.entry, elf.end};
}

std::vector<std::uint8_t> memory_map(const MemoryPlan& plan) {
    std::vector<std::uint8_t> bytes;
    for (const E820Entry& entry : e820_map(plan)) {
        const std::size_t at = bytes.size();
        bytes.resize(at + kMbiMapEntrySize);
        store_le<std::uint32_t>(bytes, at, kMbiMapEntrySize - 4);
        store_le<std::uint64_t>(bytes, at + 4, entry.range.base);
        store_le<std::uint64_t>(bytes, at + 12, entry.range.length);
        store_le<std::uint32_t>(bytes, at + 20, static_cast<std::uint32_t>(entry.type));
    }
    return bytes;
}

/// The file's name without its folders, which are the host's: the guest must not see them.
std::string with_text(const std::string& path, const std::string& text) {
    const std::string name = path.substr(path.rfind('/') + 1);
    return text.empty() ? name : name + ' ' + text;
}

}  // namespace

bool has_multiboot_header(std::span<const std::uint8_t> file) {
    return find_header(file).has_value();
}

StartState load_multiboot(const KernelRequest& request, GuestMemoryWriter& memory) {
    const LoadedKernel kernel = load_kernel(request, memory);
    const std::vector<AddressRange> places = put_modules(request, memory, kernel.end);
    StringArea strings(request);
    std::vector<std::uint8_t> info(kMbiSize);
    std::uint32_t flags = kMbiHasMemory | kMbiHasCommandLine | kMbiHasMap | kMbiHasLoaderName;
    store_le<std::uint32_t>(info, kMbiCommandLine,
                            strings.add(with_text(request.kernel_name, request.command_line)));
    store_le<std::uint32_t>(info, kMbiLoaderName, strings.add(kLoaderName));
    std::vector<std::uint8_t> list(places.size() * kMbiModuleSize);
    for (std::size_t i = 0; i < places.size(); ++i) {
        const std::size_t at = i * kMbiModuleSize;
        const BootModule& module = request.modules[i];
        store_le<std::uint32_t>(list, at, static_cast<std::uint32_t>(places[i].base));
        store_le<std::uint32_t>(list, at + 4, static_cast<std::uint32_t>(places[i].end()));
        store_le<std::uint32_t>(list, at + 8, strings.add(with_text(module.name, module.text)));
    }
    if (!places.empty()) {
        flags |= kMbiHasModules;
        store_le<std::uint32_t>(info, kMbiModules, static_cast<std::uint32_t>(places.size()));
        store_le<std::uint32_t>(info, kMbiModuleList, kLoaderModuleListAddress);
    }
    const std::vector<std::uint8_t> map = memory_map(request.memory);
    SIM_ASSERT(map.size() <= kLoaderInfoAddress - kLoaderMapAddress);
    store_le<std::uint32_t>(info, kMbiFlags, flags);
    store_le<std::uint32_t>(info, kMbiMemLower, kConventionalMemory / 1024);
    store_le<std::uint32_t>(
        info, kMbiMemUpper,
        static_cast<std::uint32_t>((request.memory.low_ram.end() - kMebibyte) / 1024));
    store_le<std::uint32_t>(info, kMbiMapLength, static_cast<std::uint32_t>(map.size()));
    store_le<std::uint32_t>(info, kMbiMap, kLoaderMapAddress);
    put_bytes(request, memory, kLoaderMapAddress, map);
    put_bytes(request, memory, kLoaderInfoAddress, info);
    put_bytes(request, memory, kLoaderModuleListAddress, list);
    strings.write(memory);
    StartState state = protected_mode_start(request, memory, kernel.entry);
    state[BootRegister::rax] = kMultibootLoaderMagic;
    state[BootRegister::rbx] = kLoaderInfoAddress;
    return state;
}

}  // namespace hvsim::devices::firmware
