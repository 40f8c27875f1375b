// Loaders of multiboot, PVH and flat kernels: what they write, and what they refuse.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "devices/byte_order.h"
#include "devices/firmware/elf_file.h"
#include "devices/firmware/flat_loader.h"
#include "devices/firmware/multiboot_loader.h"
#include "devices/firmware/page_tables.h"
#include "devices/firmware/pvh_loader.h"
#include "sim/ram.h"

using namespace hvsim;
using namespace hvsim::devices;
using namespace hvsim::devices::firmware;
using Bytes = std::vector<std::uint8_t>;

namespace {

struct Memory final : GuestMemoryWriter {
    explicit Memory(std::uint64_t size) : ram(size) {}
    bool write(std::uint64_t gpa, std::span<const std::uint8_t> bytes) override {
        return ram.write_bytes(gpa, bytes);
    }
    template <typename T>
    T read(std::uint64_t at) const {
        T value{};
        CHECK(ram.read(at, value));
        return value;
    }
    std::string text(std::uint64_t at) const {
        std::string result;
        for (auto c = read<char>(at); c != 0; c = read<char>(++at)) result += c;
        return result;
    }
    sim::Ram ram;
};

struct Machine {
    explicit Machine(std::uint64_t ram = 64 * kMebibyte) : memory(std::min(ram, 64 * kMebibyte)) {
        MemoryPlanConfig config;
        config.ram_bytes = ram;
        request.memory = plan_memory(config);
        request.kernel_name = "test.elf";
        request.where = {"machine.toml", 3, 10};
    }
    std::string error(const std::function<void()>& load) {
        try {
            load();
        } catch (const sim::ConfigError& error) {
            CHECK(error.where().line == 3);
            return error.what();
        }
        return "no error";
    }
    std::string multiboot_error(const Bytes& file) {
        request.kernel = file;
        return error([&] { load_multiboot(request, memory); });
    }
    std::string pvh_error(const Bytes& file) {
        request.kernel = file;
        return error([&] { load_pvh(request, memory); });
    }
    Memory memory;
    KernelRequest request;
};

constexpr std::size_t kText = 0x100;     // offset of the first segment, with the multiboot header
constexpr std::size_t kTextSize = 0x40;  // bytes in the file
constexpr std::size_t kNote = 0x180;

/// A 32-bit ELF file: one segment of 0x40 bytes in the file and 0x1000 in memory at 4 MiB, linked
/// to 0xc0400000, with a multiboot header and a PVH note.
Bytes elf32() {
    Bytes file(0x200);
    store_le<std::uint32_t>(file, 0, 0x464c457f);
    file[4] = 1;
    file[5] = 1;
    store_le<std::uint16_t>(file, 16, 2);
    store_le<std::uint16_t>(file, 18, 3);
    store_le<std::uint32_t>(file, 24, 0xc0400010);  // entry
    store_le<std::uint32_t>(file, 28, 52);
    store_le<std::uint16_t>(file, 42, 32);
    store_le<std::uint16_t>(file, 44, 2);
    store_le<std::uint32_t>(file, 52, 1);
    store_le<std::uint32_t>(file, 56, kText);
    store_le<std::uint32_t>(file, 60, 0xc0400000);
    store_le<std::uint32_t>(file, 64, 0x400000);
    store_le<std::uint32_t>(file, 68, kTextSize);
    store_le<std::uint32_t>(file, 72, 0x1000);
    store_le<std::uint32_t>(file, 84, 4);
    store_le<std::uint32_t>(file, 88, kNote);
    store_le<std::uint32_t>(file, 100, 20);
    store_le<std::uint32_t>(file, kText, 0x1badb002);
    store_le<std::uint32_t>(file, kText + 4, 3);
    store_le<std::uint32_t>(file, kText + 8, 0u - 0x1badb002u - 3u);
    file[kText + 0x10] = 0xf4;
    store_le<std::uint32_t>(file, kNote, 4);
    store_le<std::uint32_t>(file, kNote + 4, 4);
    store_le<std::uint32_t>(file, kNote + 8, 18);
    std::copy_n("Xen", 4, file.begin() + kNote + 12);
    store_le<std::uint32_t>(file, kNote + 16, 0x400020);
    return file;
}

/// The same as a 64-bit file with a second segment.
Bytes elf64(std::uint64_t second = 0x500000) {
    Bytes file(0x200);
    store_le<std::uint32_t>(file, 0, 0x464c457f);
    file[4] = 2;
    file[5] = 1;
    store_le<std::uint16_t>(file, 16, 2);
    store_le<std::uint16_t>(file, 18, 62);
    store_le<std::uint64_t>(file, 24, 0x400030);
    store_le<std::uint64_t>(file, 32, 64);
    store_le<std::uint16_t>(file, 54, 56);
    store_le<std::uint16_t>(file, 56, 2);
    for (std::size_t i = 0; i < 2; ++i) {
        const std::size_t at = 64 + i * 56;
        const std::uint64_t address = i == 0 ? 0x400000 : second;
        store_le<std::uint32_t>(file, at, 1);
        store_le<std::uint64_t>(file, at + 8, kText);
        store_le<std::uint64_t>(file, at + 16, address);
        store_le<std::uint64_t>(file, at + 24, address);
        store_le<std::uint64_t>(file, at + 32, kTextSize);
        store_le<std::uint64_t>(file, at + 40, 0x800);
    }
    store_le<std::uint32_t>(file, kText, 0x1badb002);
    store_le<std::uint32_t>(file, kText + 8, 0u - 0x1badb002u);
    return file;
}

}  // namespace

TEST_CASE("a multiboot kernel with modules: memory and registers") {
    Machine machine;
    const Bytes kernel = elf32();
    const Bytes module_a{1, 2, 3}, module_b(5000, 7);
    machine.request.kernel = kernel;
    machine.request.command_line = "a b";
    machine.request.modules = {{module_a, "a.mod", "x y"}, {module_b, "b.mod", ""}};
    const StartState state = load_multiboot(machine.request, machine.memory);

    CHECK(state.rip == 0x400010);
    CHECK(state[BootRegister::rax] == 0x2badb002);
    CHECK(state.cr0 == 0x11);
    CHECK(state.efer == 0);
    CHECK(state.cs == BootSegment{0x10, 0, 0xffffffff, 0xc09b});
    CHECK(state.ds == BootSegment{0x18, 0, 0xffffffff, 0xc093});
    CHECK(machine.memory.read<std::uint8_t>(0x400010) == 0xf4);
    CHECK(machine.memory.read<std::uint64_t>(state.gdt_base + 0x10) == 0x00cf9b000000ffff);

    const std::uint64_t info = state[BootRegister::rbx];
    CHECK(info >= 0x1000);  // not where start-up code for other processors goes
    CHECK(info < 0xa0000);
    CHECK(machine.memory.read<std::uint32_t>(info) == 0x24d);
    CHECK(machine.memory.read<std::uint32_t>(info + 4) == 640);
    CHECK(machine.memory.read<std::uint32_t>(info + 8) == 63 * 1024);
    CHECK(machine.memory.text(machine.memory.read<std::uint32_t>(info + 16)) == "test.elf a b");
    REQUIRE(machine.memory.read<std::uint32_t>(info + 20) == 2);
    const auto list = machine.memory.read<std::uint32_t>(info + 24);
    CHECK(machine.memory.read<std::uint32_t>(list) == 0x401000);
    CHECK(machine.memory.read<std::uint32_t>(list + 4) == 0x401003);
    CHECK(machine.memory.text(machine.memory.read<std::uint32_t>(list + 8)) == "a.mod x y");
    CHECK(machine.memory.read<std::uint32_t>(list + 16) == 0x402000);
    CHECK(machine.memory.read<std::uint32_t>(list + 20) == 0x402000 + 5000);
    CHECK(machine.memory.text(machine.memory.read<std::uint32_t>(list + 24)) == "b.mod");
    CHECK(machine.memory.read<std::uint8_t>(0x401002) == 3);
    CHECK(machine.memory.read<std::uint8_t>(0x402000 + 4999) == 7);
}

TEST_CASE("the multiboot memory map names both parts of memory") {
    Machine machine(8 * kGibibyte);
    const Bytes kernel = elf64();
    machine.request.kernel = kernel;
    const StartState state = load_multiboot(machine.request, machine.memory);
    CHECK(state.rip == 0x400030);
    const std::uint64_t info = state[BootRegister::rbx];
    CHECK(machine.memory.read<std::uint32_t>(info + 8) == (0xf8000000 - 0x100000) / 1024);
    const auto length = machine.memory.read<std::uint32_t>(info + 44);
    const auto map = machine.memory.read<std::uint32_t>(info + 48);
    REQUIRE(length == 4 * 24);
    const std::uint64_t last = map + 3 * 24;
    CHECK(machine.memory.read<std::uint32_t>(last) == 20);
    CHECK(machine.memory.read<std::uint64_t>(last + 4) == 0x100000000);
    CHECK(machine.memory.read<std::uint64_t>(last + 12) == 8 * kGibibyte - 0xf8000000);
    CHECK(machine.memory.read<std::uint32_t>(last + 20) == 1);
}

TEST_CASE("a multiboot kernel that is no ELF file goes where its header says") {
    Machine machine;
    Bytes file(0x100);
    store_le<std::uint32_t>(file, 0x20, 0x1badb002);
    store_le<std::uint32_t>(file, 0x24, 0x10000);
    store_le<std::uint32_t>(file, 0x28, 0u - 0x1badb002u - 0x10000u);
    store_le<std::uint32_t>(file, 0x2c, 0x100020);  // the header's own address
    store_le<std::uint32_t>(file, 0x30, 0x100000);  // load
    store_le<std::uint32_t>(file, 0x34, 0x100080);  // load end
    store_le<std::uint32_t>(file, 0x38, 0x101000);  // bss end
    store_le<std::uint32_t>(file, 0x3c, 0x100040);  // entry
    file[0x7f] = 0x55;
    file[0x80] = 0x66;
    machine.request.kernel = file;
    CHECK(load_multiboot(machine.request, machine.memory).rip == 0x100040);
    CHECK(machine.memory.read<std::uint8_t>(0x10007f) == 0x55);
    CHECK(machine.memory.read<std::uint8_t>(0x100080) == 0);

    Bytes bad = file;
    store_le<std::uint32_t>(bad, 0x34, 0x100200);
    CHECK(machine.multiboot_error(bad).find("the file has 256 bytes for it") != std::string::npos);
    bad = file;
    store_le<std::uint32_t>(bad, 0x3c, 0x101000);
    CHECK(machine.multiboot_error(bad).find("is not in the image") != std::string::npos);
    bad = file;
    store_le<std::uint32_t>(bad, 0x30, 0x0fff00);
    CHECK(machine.multiboot_error(bad).find("the image starts at") != std::string::npos);
    bad = file;
    bad.resize(0x3e);
    CHECK(machine.multiboot_error(bad).find("truncated") != std::string::npos);
}

TEST_CASE("multiboot headers that are none, or want too much") {
    CHECK(has_multiboot_header(elf32()));
    Bytes file = elf32();
    file[kText + 8] ^= 1;
    CHECK(!has_multiboot_header(file));
    Machine machine;
    CHECK(machine.multiboot_error(file).find("no multiboot header") != std::string::npos);
    CHECK(!has_multiboot_header({}));
    // The header may end with the first 8192 bytes, not behind them.
    Bytes late(16384);
    for (const std::size_t at : {8192u - 12u, 8192u - 8u}) {
        Bytes copy = late;
        store_le<std::uint32_t>(copy, at, 0x1badb002);
        store_le<std::uint32_t>(copy, at + 8, 0u - 0x1badb002u);
        CHECK(has_multiboot_header(copy) == (at == 8192 - 12));
    }
    file = elf32();
    store_le<std::uint32_t>(file, kText + 4, 4);
    store_le<std::uint32_t>(file, kText + 8, 0u - 0x1badb002u - 4u);
    CHECK(machine.multiboot_error(file).find("requires 0x4") != std::string::npos);
}

TEST_CASE("a PVH kernel: start information and registers") {
    Machine machine;
    const Bytes kernel = elf32();
    const Bytes initramfs{9, 8, 7};
    machine.request.kernel = kernel;
    machine.request.command_line = "console=ttyS0";
    machine.request.acpi_rsdp = 0xe0000;
    machine.request.modules = {{initramfs, "i", "words"}};
    const StartState state = load_pvh(machine.request, machine.memory);
    CHECK(state.rip == 0x400020);
    CHECK(state.cr0 == 0x11);
    CHECK(state.cr4 == 0);
    CHECK(state.tr == BootSegment{0x20, 0, 0x67, 0x8b});
    const std::uint64_t info = state[BootRegister::rbx];
    CHECK(machine.memory.read<std::uint32_t>(info) == 0x336ec578);
    CHECK(machine.memory.read<std::uint32_t>(info + 4) == 1);
    CHECK(machine.memory.read<std::uint32_t>(info + 12) == 1);
    const auto list = machine.memory.read<std::uint64_t>(info + 16);
    CHECK(machine.memory.read<std::uint64_t>(list) == 0x401000);
    CHECK(machine.memory.read<std::uint64_t>(list + 8) == 3);
    CHECK(machine.memory.text(machine.memory.read<std::uint64_t>(list + 16)) == "words");
    CHECK(machine.memory.text(machine.memory.read<std::uint64_t>(info + 24)) == "console=ttyS0");
    CHECK(machine.memory.read<std::uint64_t>(info + 32) == 0xe0000);
    const auto map = machine.memory.read<std::uint64_t>(info + 40);
    REQUIRE(machine.memory.read<std::uint32_t>(info + 48) == 3);
    CHECK(machine.memory.read<std::uint64_t>(map + 48) == kMebibyte);
    CHECK(machine.memory.read<std::uint64_t>(map + 56) == 63 * kMebibyte);

    Bytes bad = kernel;
    bad[kNote + 12] = 'x';
    CHECK(machine.pvh_error(bad).find("no note of a PVH entry point") != std::string::npos);
    bad = kernel;
    store_le<std::uint32_t>(bad, kNote + 16, 0x401000);
    CHECK(machine.pvh_error(bad).find("lies in none of the segments") != std::string::npos);
    bad = kernel;
    store_le<std::uint32_t>(bad, kNote, 0xfffffff0);  // a name that runs past everything
    CHECK(machine.pvh_error(bad).find("no note") != std::string::npos);
}

TEST_CASE("ELF files of every truncated length are refused") {
    Machine machine;
    for (const Bytes& whole : {elf32(), elf64()}) {
        // The multiboot header needs its 12 bytes; segments and notes reach further.
        const std::size_t needed = kText + kTextSize;
        for (std::size_t length = 0; length < needed; ++length) {
            const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            CHECK(machine.multiboot_error(cut) != "no error");
        }
    }
}

TEST_CASE("hostile ELF files") {
    Machine machine;
    const auto refuses = [&](const Bytes& file, const std::string& words) {
        const std::string error = machine.multiboot_error(file);
        INFO(error);
        CHECK(error.find(words) != std::string::npos);
        CHECK(error.find("test.elf") != std::string::npos);
    };
    CHECK(machine.multiboot_error(elf64()) == "no error");
    refuses(elf64(0x400400), "segments overlap");
    refuses(elf64(64 * kMebibyte - 0x400), "is not in RAM");
    refuses(elf64(~std::uint64_t{0} - 0x10), "past the address space");
    refuses(elf64(0xe0000), "covers the firmware's tables");
    refuses(elf64(kLoaderArea.base - 0x100), "covers the loader's information");
    Bytes file = elf64();
    store_le<std::uint64_t>(file, 64 + 40, kTextSize - 1);
    refuses(file, "bytes in the file but");
    file = elf64();
    store_le<std::uint64_t>(file, 64 + 8, ~std::uint64_t{0} - 8);
    refuses(file, "truncated");
    file = elf64();
    store_le<std::uint64_t>(file, 32, ~std::uint64_t{0});
    refuses(file, "truncated");
    file = elf64();
    store_le<std::uint64_t>(file, 24, 0x400800);
    refuses(file, "lies in none of the segments");
    file = elf64();
    store_le<std::uint16_t>(file, 56, 0);
    refuses(file, "no segment to load");
    file = elf64();
    store_le<std::uint16_t>(file, 54, 8);
    refuses(file, "expected 56");
    file = elf64();
    store_le<std::uint16_t>(file, 16, 3);
    refuses(file, "type 3; expected 2");
    file = elf64();
    store_le<std::uint16_t>(file, 18, 183);
    refuses(file, "machine 183");
    file = elf64();
    file[4] = 3;
    refuses(file, "class 3");
    file = elf64();
    file[5] = 2;
    refuses(file, "big-endian");
}

TEST_CASE("modules that do not fit") {
    Machine machine(16 * kMebibyte);
    const Bytes kernel = elf32();
    const Bytes large(13 * kMebibyte);
    machine.request.kernel = kernel;
    machine.request.modules = {{large, "large.bin", ""}};
    CHECK(machine.error([&] { load_multiboot(machine.request, machine.memory); })
              .find("large.bin: 13312 KiB do not fit") != std::string::npos);
    machine.request.modules.assign(129, {{}, "empty", ""});
    CHECK(machine.error([&] { load_multiboot(machine.request, machine.memory); })
              .find("129 modules") != std::string::npos);
    machine.request.modules.clear();
    machine.request.command_line = std::string(0x5000, 'x');
    CHECK(machine.error([&] { load_multiboot(machine.request, machine.memory); })
              .find("more than 20480 characters") != std::string::npos);
    machine.request.command_line = std::string("a\0b", 3);
    CHECK(
        machine.error([&] { load_multiboot(machine.request, machine.memory); }).find("zero byte") !=
        std::string::npos);
}

TEST_CASE("flat binaries in each mode") {
    Machine machine;
    Bytes sector(512);
    sector[0] = 0xf4;
    machine.request.kernel = sector;
    FlatStart start;
    StartState state = load_flat(machine.request, start, machine.memory);
    CHECK(state.cs == BootSegment{0, 0, 0xffff, 0x9b});
    CHECK(state.rip == 0x7c00);
    CHECK(state.cr0 == 0x10);
    CHECK(state.idt_limit == 0x3ff);
    CHECK(machine.memory.read<std::uint8_t>(0x7c00) == 0xf4);

    start.load_address = 0x20000;
    start.entry = 0x20013;
    state = load_flat(machine.request, start, machine.memory);
    CHECK(state.cs == BootSegment{0x2001, 0x20010, 0xffff, 0x9b});
    CHECK(state.rip == 3);

    start.mode = StartMode::protected_mode;
    start.registers = {{BootRegister::rsp, 0x7000}};
    state = load_flat(machine.request, start, machine.memory);
    CHECK(state.cs.attributes == 0xc09b);
    CHECK(state.rip == 0x20013);
    CHECK(state[BootRegister::rsp] == 0x7000);

    start.mode = StartMode::long_mode;
    state = load_flat(machine.request, start, machine.memory);
    CHECK(state.cs.attributes == 0xa09b);
    CHECK(state.efer == 0x500);
    CHECK(machine.memory.read<std::uint64_t>(state.gdt_base + 0x10) == 0x00af9b000000ffff);
    CHECK(machine.memory.read<std::uint64_t>(state.cr3) == (state.cr3 + 0x1003));
    CHECK(machine.memory.read<std::uint64_t>(state.cr3 + 0x2008) == 0x200083);
    CHECK(machine.memory.read<std::uint64_t>(state.cr3 + 0x5ff8) == 0xffe00083);
}

TEST_CASE("flat binaries that cannot start") {
    Machine machine;
    const Bytes file(16);
    machine.request.kernel = file;
    const auto error = [&](std::uint64_t load, std::uint64_t entry) {
        FlatStart start;
        start.load_address = load;
        start.entry = entry;
        return machine.error([&] { load_flat(machine.request, start, machine.memory); });
    };
    CHECK(error(0x7c00, 0x7c10).find("is not in the image") != std::string::npos);
    CHECK(error(0x7c00, 0x7bff).find("is not in the image") != std::string::npos);
    CHECK(error(64 * kMebibyte - 8, 64 * kMebibyte - 8).find("not in RAM") != std::string::npos);
    CHECK(error(0x200000, 0x200000).find("not below 0x100000") != std::string::npos);
    machine.request.kernel = {};
    CHECK(error(0x7c00, 0x7c00).find("empty") != std::string::npos);
}

TEST_CASE("registers as a scenario writes them") {
    CHECK(parse_register("rax=0x1234") == std::pair{BootRegister::rax, std::uint64_t{0x1234}});
    CHECK(parse_register("esp=28672") == std::pair{BootRegister::rsp, std::uint64_t{28672}});
    CHECK(parse_register("dx=0x80") == std::pair{BootRegister::rdx, std::uint64_t{0x80}});
    CHECK(parse_register("r15=0xffffffffffffffff") ==
          std::pair{BootRegister::r15, ~std::uint64_t{0}});
    for (const char* bad : {"rax", "rax=", "=1", "rip=1", "rax=0x", "rax=-1", "rax=1x", "x=1",
                            "rax=0x10000000000000000", "r16=1"})
        CHECK(!parse_register(bad));
}
