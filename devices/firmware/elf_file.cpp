#include "devices/firmware/elf_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "devices/byte_order.h"
#include "devices/firmware/spec/elf.h"

namespace hvsim::devices::firmware {

using namespace spec;

namespace {

constexpr const char* kDamaged = "the file is damaged; build it again";
constexpr const char* kWanted = "give an executable for x86 (32 or 64 bit, not relocatable)";

class ElfParser {
  public:
    explicit ElfParser(const KernelRequest& request) : request_(request), file_(request.kernel) {}

    ElfFile parse() {
        check_identity();
        read_program_headers();
        if (elf_.segments.empty())
            fail_kernel(request_, "the file has no segment to load", kWanted);
        check_overlaps();
        find_entry();
        return std::move(elf_);
    }

  private:
    std::uint64_t word(std::size_t at) const {
        return elf_.is_64_bit ? load_le<std::uint64_t>(file_, at)
                              : load_le<std::uint32_t>(file_, at);
    }

    void check_identity() {
        if (!is_elf(file_)) fail_kernel(request_, "not an ELF file", kWanted);
        if (file_.size() < kElfIdentSize) truncated("its header");
        const std::uint8_t file_class = file_[kElfClass];
        if (file_class != kElfClass32 && file_class != kElfClass64)
            fail_kernel(request_, fmt::format("ELF class {}; expected 1 or 2", file_class),
                        kDamaged);
        elf_.is_64_bit = file_class == kElfClass64;
        layout_ = elf_.is_64_bit ? kElf64 : kElf32;
        if (file_.size() < layout_.header_size) truncated("its header");
        if (file_[kElfData] != kElfLittleEndian)
            fail_kernel(request_, "a big-endian ELF file", kWanted);
        const auto machine = load_le<std::uint16_t>(file_, kElfMachine);
        if (machine != kElfMachine386 && machine != kElfMachineX8664)
            fail_kernel(request_,
                        fmt::format("an ELF file for machine {}; expected 3 (i386) or 62 (x86-64)",
                                    machine),
                        kWanted);
        const auto type = load_le<std::uint16_t>(file_, kElfType);
        if (type != kElfTypeExecutable)
            fail_kernel(request_,
                        fmt::format("an ELF file of type {}; expected 2 (executable)", type),
                        kWanted);
    }

    [[noreturn]] void truncated(const std::string& what) const {
        fail_kernel(request_,
                    fmt::format("truncated: its {} bytes end before {}", file_.size(), what),
                    kDamaged);
    }

    bool in_file(std::uint64_t offset, std::uint64_t length) const {
        return length <= file_.size() && offset <= file_.size() - length;
    }

    void read_program_headers() {
        const std::uint64_t table = word(layout_.program_offset);
        const auto size = load_le<std::uint16_t>(file_, layout_.program_entry_size);
        const auto count = load_le<std::uint16_t>(file_, layout_.program_count);
        if (count != 0 && size < layout_.program_size)
            fail_kernel(
                request_,
                fmt::format("program headers of {} bytes; expected {}", size, layout_.program_size),
                kDamaged);
        if (!in_file(table, std::uint64_t{size} * count))
            truncated(fmt::format("the {} program headers at {:#x}", count, table));
        for (std::uint64_t i = 0; i < count; ++i) read_program_header(table + i * size, i);
    }

    void read_program_header(std::uint64_t at, std::uint64_t number) {
        const auto type = load_le<std::uint32_t>(file_, at);
        if (type != kElfLoad && type != kElfNote) return;
        const std::uint64_t offset = word(at + layout_.file_offset);
        const std::uint64_t file_size = word(at + layout_.file_size);
        if (!in_file(offset, file_size))
            truncated(
                fmt::format("the {:#x} bytes of segment {} at {:#x}", file_size, number, offset));
        const auto bytes = file_.subspan(offset, file_size);
        if (type == kElfNote) {
            elf_.notes.push_back(bytes);
            return;
        }
        ElfSegment segment;
        segment.physical = word(at + layout_.physical_address);
        segment.virtual_address = word(at + layout_.virtual_address);
        segment.memory_size = word(at + layout_.memory_size);
        segment.file_bytes = bytes;
        if (segment.memory_size == 0 && file_size == 0) return;
        if (file_size > segment.memory_size)
            fail_kernel(request_,
                        fmt::format("segment {} has {:#x} bytes in the file but {:#x} in memory",
                                    number, file_size, segment.memory_size),
                        kDamaged);
        check_kernel_range(request_, {segment.physical, segment.memory_size},
                           fmt::format("segment {}", number));
        elf_.end = std::max(elf_.end, segment.physical + segment.memory_size);
        elf_.segments.push_back(segment);
    }

    void check_overlaps() const {
        std::vector<ElfSegment> sorted = elf_.segments;
        std::sort(sorted.begin(), sorted.end(), [](const ElfSegment& a, const ElfSegment& b) {
            return a.physical != b.physical ? a.physical < b.physical
                                            : a.memory_size < b.memory_size;
        });
        for (std::size_t i = 1; i < sorted.size(); ++i) {
            const ElfSegment& before = sorted[i - 1];
            if (before.physical + before.memory_size <= sorted[i].physical) continue;
            fail_kernel(
                request_,
                fmt::format("segments overlap: {:#x}-{:#x} and {:#x}-{:#x}", before.physical,
                            before.physical + before.memory_size - 1, sorted[i].physical,
                            sorted[i].physical + sorted[i].memory_size - 1),
                "check the linker script");
        }
    }

    /// The entry point is a virtual address, but some linker scripts give a physical one.
    void find_entry() {
        const std::uint64_t entry = word(layout_.entry);
        const auto holds = [](std::uint64_t base, std::uint64_t size, std::uint64_t address) {
            return address >= base && address - base < size;
        };
        for (const ElfSegment& segment : elf_.segments)
            if (holds(segment.virtual_address, segment.memory_size, entry)) {
                elf_.entry = segment.physical + (entry - segment.virtual_address);
                return;
            }
        for (const ElfSegment& segment : elf_.segments)
            if (holds(segment.physical, segment.memory_size, entry)) {
                elf_.entry = entry;
                return;
            }
        fail_kernel(request_,
                    fmt::format("the entry point {:#x} lies in none of the segments", entry),
                    "check the linker script's ENTRY");
    }

    const KernelRequest& request_;
    std::span<const std::uint8_t> file_;
    ElfLayout layout_ = kElf32;
    ElfFile elf_;
};

std::size_t padded(std::uint32_t size) {
    return (std::size_t{size} + 3) & ~std::size_t{3};
}

}  // namespace

bool is_elf(std::span<const std::uint8_t> file) {
    return file.size() >= 4 && load_le<std::uint32_t>(file, 0) == kElfMagic;
}

ElfFile parse_elf(const KernelRequest& request) {
    return ElfParser(request).parse();
}

void load_segments(const KernelRequest& request, const ElfFile& elf, GuestMemoryWriter& memory) {
    for (const ElfSegment& segment : elf.segments)
        put_bytes(request, memory, segment.physical, segment.file_bytes);
}

std::optional<std::span<const std::uint8_t>> find_note(const ElfFile& elf, std::string_view owner,
                                                       std::uint32_t type) {
    constexpr std::size_t kHeader = 12;  // name size, description size, type
    for (std::span<const std::uint8_t> notes : elf.notes) {
        while (notes.size() >= kHeader) {
            const auto name_size = load_le<std::uint32_t>(notes, 0);
            const auto size = load_le<std::uint32_t>(notes, 4);
            const auto note_type = load_le<std::uint32_t>(notes, 8);
            const std::size_t room = notes.size() - kHeader;
            if (padded(name_size) > room || size > room - padded(name_size)) break;
            const auto name = notes.subspan(kHeader, name_size);
            const auto description = notes.subspan(kHeader + padded(name_size), size);
            if (note_type == type &&
                std::equal(name.begin(), name.end(), owner.begin(), owner.end()))
                return description;
            const std::size_t whole = kHeader + padded(name_size) + padded(size);
            notes = notes.subspan(std::min(whole, notes.size()));
        }
    }
    return std::nullopt;
}

}  // namespace hvsim::devices::firmware
