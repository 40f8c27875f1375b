// Devices that test kernels use: exit port, latch, interrupt ports, memory, fw_cfg, SynIC commands.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "devices/testing/debug_exit.h"
#include "devices/testing/fw_cfg.h"
#include "devices/testing/hyperv_test_port.h"
#include "devices/testing/test_board.h"
#include "devices/testing/test_device.h"

using namespace hvsim;
using namespace hvsim::devices;

namespace {

struct Exits final : ExitControl {
    void exit(std::uint32_t code, sim::Time now) override { codes.push_back({code, now}); }
    std::vector<std::pair<std::uint32_t, sim::Time>> codes;
};

struct Line final : InterruptLine {
    void set(bool value, sim::Time) override {
        level = value;
        ++changes;
    }
    bool level = false;
    unsigned changes = 0;
};

/// Writes down what is asked for.
struct Synic final : SynicTestControl {
    void note(const char* what, unsigned a, unsigned b = 0, unsigned c = 0) {
        said = fmt::format("{} {} {} {}", what, a, b, c);
    }
    void create_route(std::uint8_t vp, std::uint8_t sint, sim::Time) override {
        note("create", vp, sint);
    }
    void destroy_route(std::uint8_t vp, std::uint8_t sint, sim::Time) override {
        note("destroy", vp, sint);
    }
    void raise(std::uint8_t vp, std::uint8_t sint, sim::Time) override { note("raise", vp, sint); }
    void create_message_connection(std::uint8_t connection, std::uint8_t vp, std::uint8_t sint,
                                   sim::Time) override {
        note("message", connection, vp, sint);
    }
    void destroy_message_connection(std::uint8_t connection, sim::Time) override {
        note("no message", connection);
    }
    void create_event_connection(std::uint8_t connection, std::uint8_t vp, std::uint8_t sint,
                                 sim::Time) override {
        note("event", connection, vp, sint);
    }
    void destroy_event_connection(std::uint8_t connection, sim::Time) override {
        note("no event", connection);
    }
    std::string said;
};

std::uint64_t in(RegisterDevice& device, std::uint64_t offset, unsigned size) {
    sim::Time now = 0;
    return device.read_register(offset, size, now);
}

}  // namespace

TEST_CASE("the exit port takes any width, at its first port only") {
    Exits exits;
    DebugExit device(exits);
    device.write_register(0, 1, 0x21, 5);
    device.write_register(0, 4, 0xfffffffe, 6);
    device.write_register(1, 1, 7, 7);
    REQUIRE(exits.codes.size() == 2);
    CHECK(exits.codes[0] == std::pair<std::uint32_t, sim::Time>{0x21, 5});
    CHECK(exits.codes[1] == std::pair<std::uint32_t, sim::Time>{0xfffffffe, 6});
    CHECK(in(device, 0, 4) == 0);
}

TEST_CASE("the latch keeps bytes of every width") {
    TestLatch latch(4);
    latch.write_register(0, 4, 0x44332211, 0);
    CHECK(in(latch, 0, 4) == 0x44332211);
    CHECK(in(latch, 2, 2) == 0x4433);
    latch.write_register(1, 2, 0xbbaa, 0);
    CHECK(in(latch, 0, 4) == 0x44bbaa11);
    latch.write_register(3, 2, 0xffee, 0);  // runs past the end
    CHECK(in(latch, 3, 2) == 0xee);
}

TEST_CASE("interrupt ports set levels, and tell their line only of changes") {
    Line first, second;
    TestInterruptPorts ports({&first, &second});
    ports.write_register(1, 1, 1, 0);
    ports.write_register(1, 1, 0x80, 0);
    CHECK(second.level);
    CHECK(second.changes == 1);
    CHECK(!first.level);
    CHECK(in(ports, 1, 1) == 1);
    ports.write_register(1, 1, 0x100, 0);  // the byte is zero
    CHECK(!second.level);
    ports.write_register(2, 1, 1, 0);
    CHECK(first.changes == 0);
    CHECK(second.changes == 2);
}

TEST_CASE("the test memory is 64 KiB of bytes") {
    TestMemory memory;
    memory.write_register(TestMemory::kSize - 8, 8, 0x8877665544332211, 0);
    CHECK(in(memory, TestMemory::kSize - 8, 8) == 0x8877665544332211);
    CHECK(in(memory, TestMemory::kSize - 4, 8) == 0x88776655);
    memory.write_register(TestMemory::kSize - 1, 8, ~std::uint64_t{0}, 0);
    CHECK(in(memory, TestMemory::kSize - 1, 1) == 0xff);
    CHECK(in(memory, 0, 8) == 0);
}

TEST_CASE("fw_cfg: items from their start, zeros behind their end and for what there is not") {
    FwCfg device({3, 0x123456789a000});
    const auto read = [&](std::uint16_t item, unsigned size) {
        device.write_register(0, 2, item, 0);
        std::uint64_t value = 0;
        for (unsigned i = 0; i < size; ++i) value |= in(device, 1, 1) << (8 * i);
        return value;
    };
    CHECK(read(0x00, 4) == 0x554d4551);
    CHECK(read(0x05, 2) == 3);
    CHECK(read(0x05, 8) == 3);
    CHECK(read(0x0f, 2) == 3);
    CHECK(read(0x03, 8) == 0x123456789a000);
    CHECK(read(0x03, 8) == 0x123456789a000);
    CHECK(read(0x11, 8) == 0);
    CHECK(read(0xffff, 8) == 0);
    device.write_register(0, 1, 5, 0);  // no selection
    CHECK(in(device, 1, 1) == 0);
    CHECK(in(device, 0, 2) == 0);
}

TEST_CASE("commands for a SynIC") {
    Synic synic;
    HypervTestPort port(&synic);
    const auto said = [&](std::uint32_t value) {
        synic.said.clear();
        port.write_register(0, 4, value, 0);
        return synic.said;
    };
    CHECK(said(0x00010203) == "create 2 3 0");
    CHECK(said(0x00020203) == "destroy 2 3 0");
    CHECK(said(0x0003ff0f) == "raise 255 15 0");
    CHECK(said(0x11040203) == "message 17 2 3");
    CHECK(said(0x11050203) == "no message 17 0 0");
    CHECK(said(0x12060100) == "event 18 1 0");
    CHECK(said(0x12070100) == "no event 18 0 0");
    CHECK(port.ignored() == 0);
    CHECK(said(0x00000000).empty());
    CHECK(said(0x00080000).empty());
    port.write_register(0, 2, 0x0203, 0);
    port.write_register(2, 4, 0x00010203, 0);
    CHECK(port.ignored() == 4);
    HypervTestPort alone(nullptr);
    alone.write_register(0, 4, 0x00010203, 0);
    CHECK(alone.ignored() == 1);
}

TEST_CASE("where the devices lie") {
    Exits exits;
    Line line;
    TestBoard board;
    board.exit = &exits;
    board.lines.assign(24, &line);
    const auto parts = make_test_device(TestDeviceKind::testdev, board);
    std::string text;
    for (const TestPart& part : parts)
        text += fmt::format("{}{:#x}+{:#x} ", part.memory ? "memory " : "", part.base, part.size);
    CHECK(text == "0xe0+0x4 0xe4+0x4 0xe8+0x4 0x2000+0x18 memory 0xff000000+0x10000 ");
    CHECK(make_test_device(TestDeviceKind::pic, board).empty());
    const auto exit = make_test_device(TestDeviceKind::debug_exit, board);
    REQUIRE(exit.size() == 1);
    CHECK(exit[0].base == 0xf4);
    exit[0].device->write_register(0, 4, 9, 0);
    CHECK(exits.codes.size() == 1);
}
