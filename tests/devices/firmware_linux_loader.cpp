// The Linux loader: what it writes, and what it refuses.
#include <doctest/doctest.h>

#include <algorithm>

#include "devices/byte_order.h"
#include "devices/firmware/linux_loader.h"
#include "sim/ram.h"

using namespace hvsim;
using namespace hvsim::devices;
using namespace hvsim::devices::firmware;
using Bytes = std::vector<std::uint8_t>;

namespace {

constexpr std::size_t kBodySize = 0x3000;

/// A bzImage with four setup sectors and a body of recognisable bytes.
Bytes synthetic_kernel() {
    Bytes file(5 * 512 + kBodySize);
    for (std::size_t i = 0; i < kBodySize; ++i)
        file[5 * 512 + i] = static_cast<std::uint8_t>(i * 7 + (i >> 8));
    file[0x1f1] = 4;
    store_le<std::uint32_t>(file, 0x1f4, kBodySize / 16);
    store_le<std::uint16_t>(file, 0x1fe, 0xaa55);
    file[0x200] = 0xeb;
    file[0x201] = 0x6a;
    store_le<std::uint32_t>(file, 0x202, 0x53726448);
    store_le<std::uint16_t>(file, 0x206, 0x020f);
    file[0x211] = 0x81;
    store_le<std::uint32_t>(file, 0x22c, 0x7fffffff);
    store_le<std::uint32_t>(file, 0x230, 0x200000);
    file[0x234] = 1;
    store_le<std::uint16_t>(file, 0x236, 0x7f);
    store_le<std::uint32_t>(file, 0x238, 2047);
    store_le<std::uint64_t>(file, 0x258, 0x1000000);
    store_le<std::uint32_t>(file, 0x260, 0x100000);
    return file;
}

struct RamWriter final : GuestMemoryWriter {
    explicit RamWriter(std::uint64_t size) : ram(size) {}
    bool write(std::uint64_t gpa, std::span<const std::uint8_t> bytes) override {
        return ram.write_bytes(gpa, bytes);
    }
    Bytes read(std::uint64_t at, std::size_t size) const {
        Bytes bytes(size);
        CHECK(ram.read_bytes(at, bytes));
        return bytes;
    }
    sim::Ram ram;
};

/// Keeps addresses only, for machines larger than a test wants to hold.
struct AddressWriter final : GuestMemoryWriter {
    bool write(std::uint64_t gpa, std::span<const std::uint8_t> bytes) override {
        writes.push_back({gpa, bytes.size()});
        return true;
    }
    std::vector<AddressRange> writes;
};

struct Loader {
    explicit Loader(std::uint64_t ram = 64 * kMebibyte) {
        MemoryPlanConfig config;
        config.ram_bytes = ram;
        request.memory = plan_memory(config);
        request.command_line = "console=ttyS0";
        request.acpi_rsdp = 0xe0000;
    }
    LinuxBootState load(GuestMemoryWriter& memory) {
        request.kernel = kernel;
        request.initramfs = initramfs;
        return load_linux(request, memory);
    }
    std::string error() {
        AddressWriter memory;
        try {
            load(memory);
        } catch (const sim::ConfigError& error) {
            CHECK(memory.writes.empty());  // refused before anything was written
            CHECK_FALSE(error.hint().empty());
            return error.what();
        }
        return {};
    }
    Bytes kernel = synthetic_kernel();
    Bytes initramfs;
    LinuxBootRequest request;
};

bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("kernel, initramfs, command line and tables are where the registers say") {
    Loader loader;
    loader.initramfs.assign(12345, 0x5a);
    RamWriter memory(64 * kMebibyte);
    memory.ram.fill(0x2000, 0x1000, 0xff);  // whatever was there before
    const LinuxBootState state = loader.load(memory);
    CHECK(state.kernel_file == AddressRange{0x1000000, kBodySize});
    CHECK(state.kernel_memory == AddressRange{0x1000000, 0x100000});
    CHECK(state.initramfs == AddressRange{(64 * kMebibyte - 12345) & ~0xfffull, 12345});
    CHECK(memory.read(0x1000000, kBodySize) ==
          Bytes(loader.kernel.begin() + 5 * 512, loader.kernel.end()));
    CHECK(memory.read(state.initramfs.base, 12345) == loader.initramfs);
    const Bytes text = memory.read(0x3000, 14);
    CHECK(std::string(text.begin(), text.end() - 1) == "console=ttyS0");
    CHECK(text.back() == 0);

    CHECK(state.rip == 0x1000200);
    CHECK(state.rsi == 0x2000);
    CHECK(state.cr0 == 0x80000031);
    CHECK(state.cr3 == 0x4000);
    CHECK(state.cr4 == 0x20);
    CHECK(state.efer == 0xd00);
    CHECK(state.cs == BootSegment{0x10, 0, 0xffffffff, 0xa09b});
    CHECK(state.ss == BootSegment{0x18, 0, 0xffffffff, 0xc093});
    CHECK(state.tr == BootSegment{0x20, 0, 0x67, 0x8b});
    CHECK(state.gdt_base == 0x1000);
    CHECK(state.gdt_limit == 47);
    const Bytes gdt = memory.read(0x1000, 48);
    CHECK(load_le<std::uint64_t>(gdt, 0x10) == 0x00af9b000000ffff);
    CHECK(load_le<std::uint64_t>(gdt, 0x18) == 0x00cf93000000ffff);

    const Bytes page = memory.read(0x2000, 4096);
    CHECK(load_le<std::uint64_t>(page, 0x70) == 0xe0000);
    CHECK(load_le<std::uint32_t>(page, 0x202) == 0x53726448);
    CHECK(page[0x210] == 0xff);
    CHECK(page[0x211] == 0x01);
    CHECK(load_le<std::uint32_t>(page, 0x218) == state.initramfs.base);
    CHECK(load_le<std::uint32_t>(page, 0x21c) == 12345);
    CHECK(load_le<std::uint32_t>(page, 0x228) == 0x3000);
    CHECK(load_le<std::uint32_t>(page, 0x260) == 0x100000);
    CHECK(page[0x1ef] == 0);  // the sentinel
    CHECK(page[0x1e8] == 3);
    CHECK(load_le<std::uint64_t>(page, 0x2d0 + 40) == 0x100000);
    CHECK(load_le<std::uint64_t>(page, 0x2d0 + 48) == 63 * kMebibyte);
    CHECK(load_le<std::uint32_t>(page, 0x2d0 + 56) == 1);
    CHECK(std::all_of(page.begin() + 0x2d0 + 60, page.end(), [](auto b) { return b == 0; }));
}

TEST_CASE("the page tables map the first 4 GiB one to one") {
    Loader loader;
    RamWriter memory(64 * kMebibyte);
    const LinuxBootState state = loader.load(memory);
    const auto entry = [&](std::uint64_t at) {
        return load_le<std::uint64_t>(memory.read(at, 8), 0);
    };
    for (std::uint64_t address = 0; address < kFourGibibytes; address += 2 * kMebibyte) {
        const std::uint64_t pml4e = entry(state.cr3 + (address >> 39) * 8);
        REQUIRE((pml4e & 0xfff) == 3);
        const std::uint64_t pdpte = entry((pml4e & ~0xfffull) + (address >> 30) * 8);
        REQUIRE((pdpte & 0xfff) == 3);
        const std::uint64_t pde = entry((pdpte & ~0xfffull) + (address >> 21 & 511) * 8);
        REQUIRE(pde == (address | 0x83));
    }
    CHECK(entry(state.cr3 + 8) == 0);
}

TEST_CASE("RAM around the hole below 4 GiB: the initramfs stays low, the map has both parts") {
    Loader loader(6 * kGibibyte);
    store_le<std::uint32_t>(loader.kernel, 0x22c, 0xffffffff);
    loader.initramfs.assign(kMebibyte, 1);
    AddressWriter memory;
    const LinuxBootState state = loader.load(memory);
    CHECK(state.initramfs.base == 0xf8000000 - kMebibyte);
    const auto map = e820_map(loader.request.memory);
    REQUIRE(map.size() == 4);
    CHECK(map[2] == E820Entry{{0x100000, 0xf8000000 - 0x100000}, E820Type::ram});
    CHECK(map[3] == E820Entry{{kFourGibibytes, 6 * kGibibyte - 0xf8000000}, E820Type::ram});
    for (const AddressRange& range : memory.writes)
        CHECK(range.end() <= loader.request.memory.low_ram.end());

    store_le<std::uint32_t>(loader.kernel, 0x22c, 0x7fffffff);  // the kernel's own limit
    CHECK(loader.load(memory).initramfs.base == 0x80000000 - kMebibyte);
}

TEST_CASE("memory plans under, at and over the hole") {
    const auto plan = [](std::uint64_t ram, unsigned bits = 46) {
        MemoryPlanConfig config;
        config.ram_bytes = ram;
        config.physical_address_bits = bits;
        return plan_memory(config);
    };
    MemoryPlan small = plan(256 * kMebibyte);
    CHECK(small.low_ram == AddressRange{0, 256 * kMebibyte});
    CHECK(small.high_ram == AddressRange{kFourGibibytes, 0});
    CHECK(small.low_mmio == AddressRange{0xf8000000, 0x6c00000});
    CHECK(small.high_mmio == AddressRange{kFourGibibytes, 512 * kMebibyte});
    CHECK(plan(0xf8000000).high_ram.length == 0);
    CHECK(plan(0xf8001000).high_ram == AddressRange{kFourGibibytes, 0x1000});
    CHECK(plan(0xf8001000).high_mmio.base == 5 * kGibibyte);
    CHECK_THROWS_AS(plan(kMebibyte - 4096), sim::ConfigError);
    CHECK_THROWS_AS(plan(64 * kMebibyte + 1), sim::ConfigError);
    CHECK_NOTHROW(plan(32 * kGibibyte, 36));
    CHECK_THROWS_AS(plan(64 * kGibibyte, 36), sim::ConfigError);
    CHECK_THROWS_AS(plan(~std::uint64_t{0xfff}), sim::ConfigError);
    CHECK(e820_map(plan(kMebibyte)).size() == 2);
}

TEST_CASE("RAM that is too small is refused with what it takes") {
    Loader loader(17 * kMebibyte);
    CHECK(loader.error().empty());
    loader.initramfs.assign(1, 1);
    CHECK(contains(loader.error(), "initramfs: 1 MiB do not fit"));
    Loader smaller(17 * kMebibyte - 4096);
    CHECK(contains(smaller.error(), "the kernel needs memory up to 17 MiB"));
    Loader tight(17 * kMebibyte + 4096);
    tight.initramfs.assign(4096, 1);
    CHECK(tight.error().empty());
    tight.initramfs.assign(4097, 1);
    CHECK_FALSE(tight.error().empty());
    Loader huge;
    huge.initramfs.assign(100 * kMebibyte, 1);
    CHECK_FALSE(huge.error().empty());
}

TEST_CASE("memory that is missing behind the plan is an error, not a silent loss") {
    Loader loader(64 * kMebibyte);
    RamWriter memory(32 * kMebibyte);
    loader.initramfs.assign(10, 1);
    CHECK_THROWS_AS(loader.load(memory), sim::ConfigError);
}

TEST_CASE("command lines: limits and zero bytes") {
    Loader loader;
    loader.request.command_line.assign(2047, 'x');
    CHECK(loader.error().empty());
    loader.request.command_line += 'x';
    CHECK(contains(loader.error(), "2048 characters"));
    store_le<std::uint32_t>(loader.kernel, 0x238, 0xffffffff);  // more than the page holds
    CHECK(loader.error().empty());
    loader.request.command_line.assign(4096, 'x');
    CHECK_FALSE(loader.error().empty());
    loader.request.command_line = std::string("a\0b", 3);
    CHECK_FALSE(loader.error().empty());
    loader.request.command_line.clear();
    CHECK(loader.error().empty());
}

TEST_CASE("every truncation of the image is refused") {
    const Bytes whole = synthetic_kernel();
    Loader loader;
    for (std::size_t size = 0; size < whole.size() - 15; ++size) {
        loader.kernel.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        if (loader.error().empty()) FAIL("accepted ", size, " bytes");
    }
    loader.kernel = whole;
    loader.kernel.resize(whole.size() + 1000, 0xee);  // a signature after the end
    RamWriter memory(64 * kMebibyte);
    CHECK(loader.load(memory).kernel_file.length == kBodySize);
    CHECK(memory.read(0x1000000 + kBodySize, 1) == Bytes{0});
}

TEST_CASE("headers that are not what the protocol asks for") {
    struct Case {
        const char* problem;
        std::size_t offset;
        unsigned size;
        std::uint64_t value;
    };
    const Case cases[] = {
        {"HdrS", 0x1fe, 2, 0},
        {"HdrS", 0x202, 4, 0x12345678},
        {"boot protocol 2.11", 0x206, 2, 0x020b},
        {"zImage", 0x211, 1, 0},
        {"no 64-bit entry", 0x236, 2, 0x7e},
        {"header claims to end", 0x201, 1, 0x61},
        {"truncated", 0x1f1, 1, 5},
        {"truncated", 0x1f4, 4, kBodySize / 16 + 1},
        {"truncated", 0x1f4, 4, 0xffffffff},
        {"empty kernel", 0x1f4, 4, 0},
        {"empty kernel", 0x1f4, 4, 0x20},
        {"init_size", 0x260, 4, kBodySize - 1},
        {"kernel_alignment", 0x230, 4, 0},
        {"kernel_alignment", 0x230, 4, 0x201000},
        {"kernel_alignment", 0x230, 4, 2048},
        {"preferred address", 0x258, 8, 0},
        {"preferred address", 0x258, 8, kFourGibibytes},
        {"preferred address", 0x258, 8, ~std::uint64_t{0}},
        {"RAM are too few", 0x258, 8, 0xfffff000},
        {"RAM are too few", 0x260, 4, 0xffffffff},
        {"RAM are too few", 0x230, 4, 0x80000000},
    };
    for (const Case& row : cases) {
        CAPTURE(row.problem);
        CAPTURE(row.value);
        Loader loader;
        for (unsigned i = 0; i < row.size; ++i)
            loader.kernel[row.offset + i] = static_cast<std::uint8_t>(row.value >> 8 * i);
        CHECK(contains(loader.error(), row.problem));
    }
    Loader fixed;  // not relocatable: only its own address will do
    fixed.kernel[0x234] = 0;
    store_le<std::uint32_t>(fixed.kernel, 0x230, 0);
    CHECK(fixed.error().empty());
    store_le<std::uint64_t>(fixed.kernel, 0x258, 0x1000010);
    CHECK(contains(fixed.error(), "not page aligned"));
    Loader unaligned;
    store_le<std::uint64_t>(unaligned.kernel, 0x258, 0x1000010);
    RamWriter memory(64 * kMebibyte);
    CHECK(unaligned.load(memory).rip == 0x1200200);
    Loader old_sectors;  // 0 setup sectors mean four
    old_sectors.kernel[0x1f1] = 0;
    CHECK(old_sectors.error().empty());
}

TEST_CASE("any byte of the header changed: loaded inside RAM, or refused") {
    Loader loader;
    loader.initramfs.assign(5000, 1);
    const Bytes whole = loader.kernel;
    for (std::size_t at = 0x1f1; at < 0x290; ++at)
        for (const unsigned value : {0x00u, 0x01u, 0x7fu, 0x80u, 0xffu}) {
            loader.kernel = whole;
            loader.kernel[at] = static_cast<std::uint8_t>(value);
            AddressWriter memory;
            try {
                loader.load(memory);
            } catch (const sim::ConfigError&) {
                REQUIRE(memory.writes.empty());
                continue;
            }
            for (std::size_t i = 0; i < memory.writes.size(); ++i) {
                REQUIRE(memory.writes[i].end() <= 64 * kMebibyte);
                for (std::size_t k = 0; k < i; ++k)
                    REQUIRE((memory.writes[i].end() <= memory.writes[k].base ||
                             memory.writes[k].end() <= memory.writes[i].base));
            }
        }
}
