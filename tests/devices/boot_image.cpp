// Which loader gets a machine's files, and where the test devices' parts lie.
#include "devices/firmware/boot_image.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "devices/byte_order.h"
#include "devices/firmware/kernel_request.h"
#include "devices/testing/test_board.h"
#include "sim/error.h"
#include "sim/ram.h"

using namespace hvsim;
using namespace hvsim::devices;
using namespace hvsim::devices::firmware;
using Bytes = std::vector<std::uint8_t>;

namespace {

struct Memory final : GuestMemoryWriter {
    sim::Ram ram{64 * kMebibyte};
    bool write(std::uint64_t gpa, std::span<const std::uint8_t> bytes) override {
        return ram.write_bytes(gpa, bytes);
    }
    std::string text(std::uint64_t at) const {
        std::string result;
        for (char c = 0; ram.read(at, c) && c != 0; ++at) result += c;
        return result;
    }
    std::uint32_t word(std::uint64_t at) const {
        std::uint32_t value = 0;
        CHECK(ram.read(at, value));
        return value;
    }
};

/// A multiboot kernel that its own header places at 1 MiB.
Bytes multiboot_kernel() {
    constexpr std::uint32_t kMagic = 0x1badb002, kAddresses = 0x10000, kBase = 0x100000;
    const std::uint32_t words[] = {
        kMagic, kAddresses, 0u - kMagic - kAddresses, kBase, kBase, 0, 0, kBase + 32, 0xf4};
    Bytes file(sizeof words);
    for (std::size_t i = 0; i < std::size(words); ++i)
        store_le<std::uint32_t>(file, 4 * i, words[i]);
    return file;
}

struct Machine {
    Memory memory;
    BootImage image;
    MemoryPlan plan;
    Machine() {
        MemoryPlanConfig config;
        config.ram_bytes = 64 * kMebibyte;
        plan = plan_memory(config);
        image.kernel = {multiboot_kernel(), "a.elf", {}};
        image.where = {"machine.toml", 3, 10};
    }
    StartState load() { return load_boot_image(image, plan, 0xe0000, memory); }
    std::string error() {
        try {
            load();
        } catch (const sim::ConfigError& error) {
            CHECK(error.where().line == 3);
            return std::string(error.what()) + " | " + error.hint();
        }
        return "no error";
    }
};

}  // namespace

TEST_CASE("the kernel's header chooses the protocol") {
    Machine m;
    m.image.modules.push_back({{1, 2, 3}, "m.bin", "for it"});
    m.image.command_line = "one two";
    const StartState state = m.load();
    CHECK(state.rip == 0x100020);
    CHECK(state.cr0 == 0x11);
    CHECK(state[BootRegister::rax] == 0x2badb002);
    const std::uint64_t info = state[BootRegister::rbx];
    CHECK(m.memory.text(m.memory.word(info + 16)) == "a.elf one two");
    CHECK(m.memory.word(info + 20) == 1);
    const std::uint32_t module = m.memory.word(info + 24);
    CHECK(m.memory.text(m.memory.word(module + 8)) == "m.bin for it");
    m.image.kernel.bytes = {0xf4};
    CHECK(
        m.error().find("a.elf: neither a Linux bzImage, a multiboot kernel nor ELF | for a flat") !=
        std::string::npos);
}

TEST_CASE("a protocol that is given is not guessed") {
    Machine m;
    m.image.protocol = BootProtocol::flat;
    m.image.flat.mode = StartMode::protected_mode;
    m.image.flat.load_address = m.image.flat.entry = 0x200000;
    m.image.flat.registers = {{BootRegister::rbx, 7}};
    const StartState state = m.load();
    CHECK(state.rip == 0x200000);
    CHECK(state[BootRegister::rbx] == 7);
    CHECK(m.memory.word(0x200000) == 0x1badb002);
    m.image.protocol = BootProtocol::linux_kernel;
    CHECK(m.error().find("a.elf") != std::string::npos);
    m.image.protocol = BootProtocol::pvh;
    CHECK(m.error().find("a.elf") != std::string::npos);
}

TEST_CASE("test devices lie where test kernels look for them") {
    struct Exit final : ExitControl {
        std::uint32_t code = 0;
        void exit(std::uint32_t value, sim::Time) override { code = value; }
    } exit;
    struct Line final : InterruptLine {
        bool level = false;
        void set(bool value, sim::Time) override { level = value; }
    } line;
    TestBoard board;
    board.exit = &exit;
    board.lines = {&line, &line, &line};
    board.machine = {3, 64 * kMebibyte};
    const auto part_at = [&](TestDeviceKind kind, std::uint64_t base) {
        std::vector<TestPart> parts = make_test_device(kind, board);
        const auto found = std::find_if(parts.begin(), parts.end(),
                                        [&](const TestPart& part) { return part.base == base; });
        REQUIRE(found != parts.end());
        return std::move(*found);
    };
    part_at(TestDeviceKind::debug_exit, 0xf4).device->write_register(0, 4, 42, 0);
    CHECK(exit.code == 42);
    const TestPart lines = part_at(TestDeviceKind::testdev, 0x2000);
    CHECK(lines.size == 3);
    lines.device->write_register(2, 1, 1, 0);
    CHECK(line.level);
    const TestPart memory = part_at(TestDeviceKind::testdev, 0xff000000);
    CHECK(memory.memory);
    CHECK(memory.size == 0x10000);
    sim::Time now = 0;
    const TestPart fw_cfg = part_at(TestDeviceKind::fw_cfg, 0x510);
    fw_cfg.device->write_register(0, 2, 5, 0);
    CHECK(fw_cfg.device->read_register(1, 1, now) == 3);
    CHECK(part_at(TestDeviceKind::hyperv_testdev, 0x3000).size == 4);
    CHECK(make_test_device(TestDeviceKind::pic, board).empty());
    CHECK(make_test_device(TestDeviceKind::edu, board).empty());
}
