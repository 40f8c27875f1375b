#include "devices/firmware/pvh_loader.h"

#include <fmt/format.h>

#include "devices/byte_order.h"
#include "devices/firmware/elf_file.h"
#include "devices/firmware/spec/pvh.h"

namespace hvsim::devices::firmware {

using namespace spec;

namespace {

constexpr std::string_view kOwner{kPvhNoteOwner, sizeof(kPvhNoteOwner)};

std::uint64_t entry_point(const KernelRequest& request, const ElfFile& elf) {
    const auto note = find_note(elf, kOwner, kPvhNoteType);
    if (!note)
        fail_kernel(request, "no note of a PVH entry point (owner \"Xen\", type 18)",
                    "for Linux, build with CONFIG_PVH and give vmlinux");
    if (note->size() != 4 && note->size() != 8)
        fail_kernel(request, fmt::format("the note of the PVH entry point has {} bytes; expected 4 "
                                         "or 8",
                                         note->size()));
    const std::uint64_t entry =
        note->size() == 4 ? load_le<std::uint32_t>(*note, 0) : load_le<std::uint64_t>(*note, 0);
    for (const ElfSegment& segment : elf.segments)
        if (entry >= segment.physical && entry - segment.physical < segment.memory_size &&
            entry < kFourGibibytes)
            return entry;
    fail_kernel(request,
                fmt::format("the PVH entry point {:#x} lies in none of the segments", entry),
                "it is a physical address below 4 GiB");
}

std::vector<std::uint8_t> memory_map(const MemoryPlan& plan) {
    const std::vector<E820Entry> map = e820_map(plan);
    std::vector<std::uint8_t> bytes(map.size() * kPvhMapEntrySize);
    for (std::size_t i = 0; i < map.size(); ++i) {
        const std::size_t at = i * kPvhMapEntrySize;
        store_le<std::uint64_t>(bytes, at, map[i].range.base);
        store_le<std::uint64_t>(bytes, at + 8, map[i].range.length);
        store_le<std::uint32_t>(bytes, at + 16, static_cast<std::uint32_t>(map[i].type));
    }
    return bytes;
}

}  // namespace

StartState load_pvh(const KernelRequest& request, GuestMemoryWriter& memory) {
    const ElfFile elf = parse_elf(request);
    const std::uint64_t entry = entry_point(request, elf);
    load_segments(request, elf, memory);
    const std::vector<AddressRange> places = put_modules(request, memory, elf.end);
    StringArea strings(request);
    std::vector<std::uint8_t> info(kPvhInfoSize);
    store_le<std::uint32_t>(info, 0, kPvhMagic);
    store_le<std::uint32_t>(info, kPvhVersionField, kPvhVersion);
    store_le<std::uint64_t>(info, kPvhCommandLine, strings.add(request.command_line));
    store_le<std::uint64_t>(info, kPvhRsdp, request.acpi_rsdp);
    std::vector<std::uint8_t> list(places.size() * kPvhModuleSize);
    for (std::size_t i = 0; i < places.size(); ++i) {
        const std::size_t at = i * kPvhModuleSize;
        store_le<std::uint64_t>(list, at, places[i].base);
        store_le<std::uint64_t>(list, at + 8, places[i].length);
        store_le<std::uint64_t>(list, at + 16, strings.add(request.modules[i].text));
    }
    if (!places.empty()) {
        store_le<std::uint32_t>(info, kPvhModules, static_cast<std::uint32_t>(places.size()));
        store_le<std::uint64_t>(info, kPvhModuleList, kLoaderModuleListAddress);
    }
    const std::vector<std::uint8_t> map = memory_map(request.memory);
    SIM_ASSERT(map.size() <= kLoaderInfoAddress - kLoaderMapAddress);
    store_le<std::uint64_t>(info, kPvhMemoryMap, kLoaderMapAddress);
    store_le<std::uint32_t>(info, kPvhMemoryEntries,
                            static_cast<std::uint32_t>(map.size() / kPvhMapEntrySize));
    put_bytes(request, memory, kLoaderMapAddress, map);
    put_bytes(request, memory, kLoaderInfoAddress, info);
    put_bytes(request, memory, kLoaderModuleListAddress, list);
    strings.write(memory);
    StartState state = protected_mode_start(request, memory, entry);
    state[BootRegister::rbx] = kLoaderInfoAddress;
    return state;
}

}  // namespace hvsim::devices::firmware
