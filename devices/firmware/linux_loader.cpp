#include "devices/firmware/linux_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "devices/byte_order.h"
#include "devices/firmware/page_tables.h"
#include "devices/firmware/spec/linux_boot.h"
#include "sim/error.h"
#include "sim/ram.h"

namespace hvsim::devices::firmware {

using namespace spec;

namespace {

/// What the loader needs of a setup header that passed all checks.
struct KernelImage {
    std::span<const std::uint8_t> file;
    std::span<const std::uint8_t> body;  // the protected-mode part
    std::size_t header_end = 0;
    std::uint64_t preferred_address = 0;
    std::uint64_t init_size = 0;
    std::uint64_t alignment = 0;
    std::uint64_t ramdisk_max = 0;
    std::uint64_t command_line_size = 0;
    bool relocatable = false;
};

[[noreturn]] void fail(const LinuxBootRequest& request, const std::string& problem,
                       const std::string& hint) {
    throw sim::ConfigError(request.where, problem, hint);
}

[[noreturn]] void fail_image(const LinuxBootRequest& request, const std::string& problem,
                             const char* hint = "the file is damaged; fetch or build it again") {
    fail(request, request.kernel_name + ": " + problem, hint);
}

void check_identity(const LinuxBootRequest& request) {
    constexpr const char* kHint = "give a bzImage, as distributions install it as /boot/vmlinuz-*";
    const auto file = request.kernel;
    if (file.size() < kHeaderEndAtLeast)
        fail_image(request, fmt::format("{} bytes are too few for a Linux kernel", file.size()),
                   kHint);
    if (!is_linux_kernel(file))
        fail_image(request, "not a Linux bzImage (no \"HdrS\" signature)", kHint);
    const auto version = load_le<std::uint16_t>(file, kVersion);
    if (version < kVersionAtLeast)
        fail_image(
            request,
            fmt::format("boot protocol {}.{:02} is older than 2.12", version >> 8, version & 0xff),
            "take Linux 3.8 or later");
    if ((file[kLoadFlags] & kLoadedHigh) == 0)
        fail_image(request, "a zImage, which loads below 1 MiB", kHint);
    if ((load_le<std::uint16_t>(file, kExtraLoadFlags) & kXlfKernel64) == 0)
        fail_image(request, "the kernel has no 64-bit entry point", "take an x86-64 kernel");
}

KernelImage parse_kernel(const LinuxBootRequest& request) {
    check_identity(request);
    const auto file = request.kernel;
    KernelImage image;
    image.file = file;
    image.header_end = kMagic + file[kJumpOffset];
    if (image.header_end < kHeaderEndAtLeast || image.header_end > file.size())
        fail_image(request, fmt::format("the header claims to end at {:#x}", image.header_end));
    image.header_end = std::min(image.header_end, kHeaderRoom);

    const std::size_t sectors = file[kSetupSectors] == 0 ? 4 : file[kSetupSectors];
    const std::size_t body_at = (sectors + 1) * kSectorSize;
    const std::uint64_t body_size = std::uint64_t{load_le<std::uint32_t>(file, kSystemSize)} * 16;
    if (body_size <= kEntry64) fail_image(request, "the header claims an empty kernel");
    // A signed kernel has its signature after the end; the last paragraph may be cut short.
    if (file.size() < body_at || body_size - (body_size - 1) % 16 > file.size() - body_at)
        fail_image(request, fmt::format("truncated: {} bytes, but the header names {}", file.size(),
                                        body_at + body_size));
    image.body = file.subspan(body_at, std::min<std::uint64_t>(body_size, file.size() - body_at));

    image.preferred_address = load_le<std::uint64_t>(file, kPreferredAddress);
    image.init_size = load_le<std::uint32_t>(file, kInitSize);
    image.alignment = load_le<std::uint32_t>(file, kKernelAlignment);
    image.ramdisk_max = load_le<std::uint32_t>(file, kRamdiskMax);
    image.command_line_size = load_le<std::uint32_t>(file, kCommandLineSize);
    image.relocatable = file[kRelocatable] != 0;
    if (image.init_size < image.body.size())
        fail_image(request, fmt::format("init_size {:#x} is less than the kernel's {:#x} bytes",
                                        image.init_size, image.body.size()));
    if (image.relocatable &&
        (!std::has_single_bit(image.alignment) || image.alignment < sim::kPageSize))
        fail_image(request, fmt::format("kernel_alignment {:#x} is no power of two of 4 KiB up",
                                        image.alignment));
    return image;
}

/// Where the image goes; init_size bytes from there belong to it.
std::uint64_t place_kernel(const LinuxBootRequest& request, const KernelImage& image) {
    std::uint64_t address = image.preferred_address;
    // The decompressor moves a kernel that lies below its preferred address up to it, so a lower
    // place would not save memory.
    if (address < kMebibyte || address >= kFourGibibytes)
        fail_image(request,
                   fmt::format("preferred address {:#x} is not between 1 MiB and 4 GiB", address));
    if (image.relocatable)
        address = (address + image.alignment - 1) & ~(image.alignment - 1);
    else if (address % sim::kPageSize != 0)
        fail_image(request, fmt::format("preferred address {:#x} is not page aligned", address));
    const std::uint64_t end = address + image.init_size;
    if (end > request.memory.low_ram.end())
        fail(request,
             fmt::format("{} MiB of RAM are too few: the kernel needs memory up to {} MiB",
                         request.memory.ram_bytes / kMebibyte, (end + kMebibyte - 1) / kMebibyte),
             "give the machine more RAM");
    return address;
}

AddressRange place_initramfs(const LinuxBootRequest& request, const KernelImage& image,
                             std::uint64_t kernel_end) {
    const std::uint64_t size = request.initramfs.size();
    if (size == 0) return {};
    const std::uint64_t top = std::min(request.memory.low_ram.end(), image.ramdisk_max + 1);
    const std::uint64_t base = size < top ? (top - size) & ~(sim::kPageSize - 1) : 0;
    if (base < kernel_end)
        fail(request,
             fmt::format("{}: {} MiB do not fit between the kernel's end at {} MiB and {} MiB",
                         request.initramfs_name, (size + kMebibyte - 1) / kMebibyte,
                         (kernel_end + kMebibyte - 1) / kMebibyte, top / kMebibyte),
             "give the machine more RAM or take a smaller initramfs");
    return {base, size};
}

void put(const LinuxBootRequest& request, GuestMemoryWriter& memory, std::uint64_t address,
         std::span<const std::uint8_t> bytes) {
    if (!bytes.empty() && !memory.write(address, bytes))
        fail(request, fmt::format("no memory at {:#x}-{:#x}", address, address + bytes.size() - 1),
             "the machine's memory does not match its RAM size");
}

std::vector<std::uint8_t> boot_params(const LinuxBootRequest& request, const KernelImage& image,
                                      std::uint64_t kernel, const AddressRange& initramfs) {
    std::vector<std::uint8_t> page(kBootParamsSize);
    std::copy(image.file.begin() + kHeaderBegin,
              image.file.begin() + static_cast<std::ptrdiff_t>(image.header_end),
              page.begin() + kHeaderBegin);
    store_le<std::uint16_t>(page, kVideoMode, kVideoNormal);
    page[kLoaderType] = kLoaderUndefined;
    page[kLoadFlags] = static_cast<std::uint8_t>(page[kLoadFlags] & ~kCanUseHeap);
    store_le<std::uint32_t>(page, kCode32Start, static_cast<std::uint32_t>(kernel));
    store_le<std::uint32_t>(page, kRamdiskImage, static_cast<std::uint32_t>(initramfs.base));
    store_le<std::uint32_t>(page, kRamdiskSize, static_cast<std::uint32_t>(initramfs.length));
    store_le<std::uint16_t>(page, kHeapEnd, 0);
    store_le<std::uint32_t>(page, kCommandLine, kCommandLineAddress);
    store_le<std::uint64_t>(page, kSetupData, 0);
    store_le<std::uint64_t>(page, kAcpiRsdpAddress, request.acpi_rsdp);

    const std::vector<E820Entry> map = e820_map(request.memory);
    SIM_ASSERT(map.size() <= kE820MaxEntries);
    page[kE820Count] = static_cast<std::uint8_t>(map.size());
    std::size_t at = kE820Table;
    for (const E820Entry& entry : map) {
        store_le<std::uint64_t>(page, at, entry.range.base);
        store_le<std::uint64_t>(page, at + 8, entry.range.length);
        store_le<std::uint32_t>(page, at + 16, static_cast<std::uint32_t>(entry.type));
        at += kE820EntrySize;
    }
    return page;
}

// Descriptors as the protocol wants them at selectors 0x10 and 0x18, and a task state segment at
// 0x20, because a processor in virtual machine operation must have one.
constexpr std::array<std::uint64_t, 6> kGdt{
    0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00008b0000000067, 0};

LinuxBootState initial_state(std::uint64_t kernel) {
    const BootSegment data{kBootDs, 0, 0xffffffff, 0xc093};
    LinuxBootState state;
    state.cs = {kBootCs, 0, 0xffffffff, 0xa09b};
    state.ds = state.es = state.ss = state.fs = state.gs = data;
    state.tr = {0x20, 0, 0x67, 0x8b};
    state.ldtr = {0, 0, 0, 0x10000};
    state.gdt_base = kGdtAddress;
    state.gdt_limit = sizeof(kGdt) - 1;
    state.cr0 = 0x80000031;  // PG, NE, ET, PE
    state.cr3 = kPageTablesAddress;
    state.cr4 = 0x20;    // PAE
    state.efer = 0xd00;  // NXE, LMA, LME
    state.rip = kernel + kEntry64;
    state.rsi = kBootParamsAddress;
    return state;
}

}  // namespace

bool is_linux_kernel(std::span<const std::uint8_t> file) {
    return file.size() >= kHeaderEndAtLeast &&
           load_le<std::uint16_t>(file, kBootFlag) == kBootFlagValue &&
           load_le<std::uint32_t>(file, kMagic) == kMagicValue;
}

LinuxBootState load_linux(const LinuxBootRequest& request, GuestMemoryWriter& memory) {
    const KernelImage image = parse_kernel(request);
    const std::size_t longest = std::min<std::uint64_t>(image.command_line_size, 4095);
    if (request.command_line.size() > longest)
        fail(request,
             fmt::format("the command line has {} characters, {} takes {}",
                         request.command_line.size(), request.kernel_name, longest),
             "shorten it");
    if (request.command_line.find('\0') != std::string::npos)
        fail(request, "the command line contains a zero byte", "remove it");
    const std::uint64_t kernel = place_kernel(request, image);
    const AddressRange initramfs = place_initramfs(request, image, kernel + image.init_size);

    std::vector<std::uint8_t> gdt(sizeof(kGdt));
    for (std::size_t i = 0; i < kGdt.size(); ++i) store_le<std::uint64_t>(gdt, i * 8, kGdt[i]);
    put(request, memory, kGdtAddress, gdt);
    put(request, memory, kBootParamsAddress, boot_params(request, image, kernel, initramfs));
    std::vector<std::uint8_t> command_line(request.command_line.begin(),
                                           request.command_line.end());
    command_line.push_back(0);
    put(request, memory, kCommandLineAddress, command_line);
    put(request, memory, kPageTablesAddress, identity_page_tables(kPageTablesAddress));
    put(request, memory, kernel, image.body);
    put(request, memory, initramfs.base, request.initramfs);

    LinuxBootState state = initial_state(kernel);
    state.kernel_file = {kernel, image.body.size()};
    state.kernel_memory = {kernel, image.init_size};
    state.initramfs = initramfs;
    return state;
}

StartState start_state(const LinuxBootState& state) {
    StartState start;
    start.cs = state.cs;
    start.ds = state.ds;
    start.es = state.es;
    start.ss = state.ss;
    start.fs = state.fs;
    start.gs = state.gs;
    start.tr = state.tr;
    start.ldtr = state.ldtr;
    start.gdt_base = state.gdt_base;
    start.gdt_limit = state.gdt_limit;
    start.cr0 = state.cr0;
    start.cr3 = state.cr3;
    start.cr4 = state.cr4;
    start.efer = state.efer;
    start.rip = state.rip;
    start[BootRegister::rsi] = state.rsi;
    return start;
}

}  // namespace hvsim::devices::firmware
