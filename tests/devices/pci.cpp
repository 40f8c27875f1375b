// PCI configuration mechanism 1, base address registers, and the edu device behind them.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "devices/pci/bus.h"
#include "devices/pci/edu.h"

using namespace hvsim;
using namespace hvsim::devices;
using namespace hvsim::devices::pci;

namespace {

/// Memory by address; refuses what is above its end.
struct Dma final : DmaPort {
    bool read(std::uint64_t address, std::span<std::uint8_t> out, sim::Time,
              sim::Duration&) override {
        if (address >= end) return false;
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = bytes[address + i];
        return true;
    }
    bool write(std::uint64_t address, std::span<const std::uint8_t> in, sim::Time,
               sim::Duration&) override {
        if (address >= end) return false;
        for (std::size_t i = 0; i < in.size(); ++i) bytes[address + i] = in[i];
        ++writes;
        return true;
    }
    std::map<std::uint64_t, std::uint8_t> bytes;
    std::uint64_t end = ~std::uint64_t{0};
    unsigned writes = 0;
};

struct Line final : InterruptLine {
    void set(bool value, sim::Time) override { level = value; }
    bool level = false;
};

struct ResetPort final : RegisterDevice {
    std::uint64_t read_register(std::uint64_t, unsigned, sim::Time&) override { return 0x5a; }
    void write_register(std::uint64_t, unsigned, std::uint64_t value, sim::Time) override {
        written = value;
    }
    unsigned widest_access() const noexcept override { return 1; }
    std::uint64_t written = 0;
};

constexpr std::uint64_t kWindow = 0xf8000000;

struct Board {
    Board() : edu({}, dma, line), ports(bus, &reset), window(bus, kWindow) {
        edu.assign(kWindow, 10);
        bus.add(0x28, edu);
    }
    void select(std::uint32_t address) { ports.write_register(0, 4, address, 0); }
    std::uint64_t config(std::uint32_t offset, unsigned size = 4) {
        select(0x80002800 | (offset & ~3u));
        sim::Time now = 0;
        return ports.read_register(4 + (offset & 3), size, now);
    }
    void set_config(std::uint32_t offset, unsigned size, std::uint32_t value) {
        select(0x80002800 | (offset & ~3u));
        ports.write_register(4 + (offset & 3), size, value, 0);
    }
    std::uint64_t in(std::uint64_t offset, unsigned size = 4) {
        sim::Time now = 0;
        return window.read_register(offset, size, now);
    }
    void out(std::uint64_t offset, std::uint64_t value, unsigned size = 4, sim::Time now = 0) {
        window.write_register(offset, size, value, now);
    }
    void finish() {
        while (edu.next_deadline() != sim::kNever) edu.advance_to(edu.next_deadline());
    }
    void transfer(std::uint64_t source, std::uint64_t destination, std::uint64_t count,
                  std::uint64_t command) {
        out(0x80, source, 8);
        out(0x88, destination, 8);
        out(0x90, count, 8);
        out(0x98, command);
        CHECK((in(0x98) & 1) == 1);
        finish();
        CHECK((in(0x98) & 1) == 0);
    }
    Dma dma;
    Line line;
    ResetPort reset;
    Bus bus;
    Edu edu;
    ConfigPorts ports;
    MemoryWindow window;
};

}  // namespace

TEST_CASE("configuration space: identity, read-only bits, functions that are not there") {
    Board board;
    CHECK(board.config(0) == 0x11e81234);
    CHECK(board.config(8) == 0xff000010);
    CHECK(board.config(0x3c, 1) == 10);
    CHECK(board.config(0x3d, 1) == 1);
    board.set_config(0, 4, 0);
    CHECK(board.config(0) == 0x11e81234);
    board.set_config(4, 2, 0xffff);
    CHECK(board.config(4, 2) == 0x0406);
    sim::Time now = 0;
    for (const std::uint32_t address : {0x00002800u, 0x80002900u, 0x80012800u, 0x80000000u}) {
        board.select(address);
        CHECK(board.ports.read_register(4, 4, now) == 0xffffffff);
        CHECK(board.ports.read_register(6, 2, now) == 0xffff);
    }
    CHECK(board.ports.read_register(0, 4, now) == 0x80000000);
}

TEST_CASE("the reset register beside the address port takes bytes only") {
    Board board;
    board.ports.write_register(1, 1, 6, 0);
    CHECK(board.reset.written == 6);
    board.reset.written = 0;
    board.select(0x80000600);
    board.ports.write_register(0, 1, 6, 0);
    board.ports.write_register(2, 2, 6, 0);
    CHECK(board.reset.written == 0);
    sim::Time now = 0;
    CHECK(board.ports.read_register(1, 1, now) == 0x5a);
    CHECK(board.ports.read_register(2, 1, now) == 0xff);
}

TEST_CASE("BAR 0: its size, its place, and decoding switched off") {
    Board board;
    CHECK(board.in(0) == 0x010000ed);
    board.set_config(0x10, 4, 0xffffffff);
    CHECK(board.config(0x10) == 0xfff00000);
    CHECK(board.in(0) == 0xffffffff);
    board.set_config(0x10, 4, 0xf8300000);
    CHECK(board.in(0x300000) == 0x010000ed);
    CHECK(board.in(0x2ffffc) == 0xffffffff);
    board.set_config(4, 2, 0);
    CHECK(board.in(0x300000) == 0xffffffff);
}

TEST_CASE("edu: liveness and factorials") {
    Board board;
    board.out(4, 0x12345678);
    CHECK(board.in(4) == 0xedcba987);
    CHECK(board.in(4, 1) == 0xff);
    board.out(0x20, 0x80);
    board.out(8, 10);
    CHECK((board.in(0x20) & 1) == 1);
    board.out(8, 3);  // busy
    board.finish();
    CHECK(board.in(8) == 3628800);
    CHECK(board.in(0x20) == 0x80);
    CHECK(board.in(0x24) == 1);
    CHECK(board.line.level);
    board.out(0x64, 1);
    CHECK(!board.line.level);
    board.out(0x20, 0);
    board.out(8, 0xffffffff);
    board.finish();
    CHECK(board.in(8) == 0);
    CHECK(!board.line.level);
}

TEST_CASE("edu: DMA in both directions, within its buffer and reach") {
    Board board;
    board.set_config(4, 2, 0x6);
    for (unsigned i = 0; i < 8; ++i) board.dma.bytes[0x1000 + i] = static_cast<std::uint8_t>(i + 1);
    board.transfer(0x1000, 0x40ff8, 8, 1);
    board.transfer(0x40ff8, 0x2000, 8, 7);
    CHECK(board.dma.bytes[0x2007] == 8);
    CHECK(board.in(0x24) == 0x100);
    board.out(0x64, 0x100);
    // 28 address bits; anything that leaves the buffer moves nothing.
    board.transfer(0x40ff8, 0x10003000, 1, 3);
    CHECK(board.dma.bytes[0x3000] == 1);
    const unsigned before = board.dma.writes;
    struct Transfer {
        std::uint64_t source, count;
    };
    constexpr Transfer kOutside[] = {{0x40ff9, 8},
                                     {0x3ffff, 1},
                                     {0x40000, 4097},
                                     {0x40000, 0},
                                     {0x40001, ~std::uint64_t{0}},
                                     {~std::uint64_t{0}, 1}};
    for (const auto& [source, count] : kOutside) board.transfer(source, 0x4000, count, 3);
    CHECK(board.dma.writes == before);
    board.set_config(4, 2, 0x2);  // no bus master
    board.transfer(0x40000, 0x4000, 4, 3);
    CHECK(board.dma.writes == before);
}

TEST_CASE("edu: a refused read leaves the buffer as it was") {
    Board board;
    board.set_config(4, 2, 0x6);
    board.dma.bytes[0x100] = 0x77;
    board.transfer(0x100, 0x40000, 1, 1);
    board.dma.end = 0x100;
    board.transfer(0x100, 0x40000, 1, 1);
    board.dma.end = ~std::uint64_t{0};
    board.transfer(0x40000, 0x200, 1, 3);
    CHECK(board.dma.bytes[0x200] == 0x77);
}

TEST_CASE("edu: with MSI on, an interrupt is a write and the line stays low") {
    Board board;
    board.set_config(4, 2, 0x6);
    CHECK(board.config(0x34, 1) == 0x40);
    CHECK(board.config(0x40, 1) == 5);
    CHECK(board.config(0x42, 2) == 0x80);
    board.set_config(0x44, 4, 0xfee01003);
    board.set_config(0x48, 4, 0);
    board.set_config(0x4c, 2, 0x4041);
    board.set_config(0x42, 2, 1);
    board.out(0x60, 5);
    CHECK(!board.line.level);
    CHECK(board.dma.bytes[0xfee01000] == 0x41);
    CHECK(board.dma.bytes[0xfee01001] == 0x40);
    CHECK((board.config(6, 2) & 8) == 8);
    board.set_config(0x42, 2, 0);  // back to INTA#
    CHECK(board.line.level);
    board.set_config(4, 2, 0x406);
    CHECK(!board.line.level);
}

TEST_CASE("edu: odd accesses to its registers") {
    Board board;
    board.out(0x82, 0x1234, 4);
    CHECK(board.in(0x80, 8) == 0);
    board.out(0x84, 0x11223344, 4);
    CHECK(board.in(0x80, 8) == 0x1122334400000000);
    CHECK(board.in(0x84) == 0x11223344);
    CHECK(board.in(0x80, 2) == 0xffff);
    CHECK(board.in(0xa0, 8) == ~std::uint64_t{0});
    CHECK(board.in(0x40000) == 0xffffffff);
}
