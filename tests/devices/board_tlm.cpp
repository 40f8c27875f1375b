// The board's shells on one SystemC kernel. All modules are built once, before elaboration; the
// simulation never runs: transactions carry annotated delay only.
#include <doctest/doctest.h>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include <map>
#include <systemc>
#include <vector>

#include "devices/acpi_pm.h"
#include "devices/byte_order.h"
#include "devices/nvme/controller.h"
#include "devices/rtc.h"
#include "devices/tlm/bus_master.h"
#include "devices/tlm/dma_initiator.h"
#include "devices/tlm/interconnect.h"
#include "devices/tlm/ram_target.h"
#include "devices/tlm/register_target.h"
#include "devices/uart16550.h"
#include "sim/error.h"

using namespace hvsim;
using namespace hvsim::devices::tlm_shell;

// libsystemc's own main() is not used, but the library refers to this.
int sc_main(int, char**) {
    return 0;
}

namespace {

/// A module that knows nothing of hvsim, between the bus and a device.
class Monitor : public sc_core::sc_module {
  public:
    struct Seen {
        tlm::tlm_command command;
        std::uint64_t address;
        std::vector<std::uint8_t> data;
        std::uint64_t delay_ps;
    };
    tlm_utils::simple_target_socket<Monitor> in{"in"};
    tlm_utils::simple_initiator_socket<Monitor> out{"out"};
    std::vector<Seen> seen;

    explicit Monitor(const sc_core::sc_module_name& name) : sc_module(name) {
        in.register_b_transport(this, &Monitor::b_transport);
    }

  private:
    void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
        const std::uint64_t annotated = delay.value();
        out->b_transport(payload, delay);
        const std::uint8_t* const data = payload.get_data_ptr();
        seen.push_back({payload.get_command(),
                        payload.get_address(),
                        {data, data + payload.get_data_length()},
                        annotated});
    }
};

struct Sink final : devices::CharacterSink {
    std::string text;
    std::vector<sim::Time> times;
    void put(std::uint8_t byte, sim::Time now) override {
        text.push_back(static_cast<char>(byte));
        times.push_back(now);
    }
};

/// Remembers accesses; a clock that has given out `ahead` moves earlier readers up to it.
struct Probe final : devices::RegisterDevice {
    struct Access {
        bool write;
        std::uint64_t offset;
        unsigned size;
        std::uint64_t value;
        sim::Time now;
    };
    std::vector<Access> accesses;
    sim::Time ahead = 0;
    unsigned widest = 4;
    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override {
        if (now < ahead) now = ahead;
        accesses.push_back({false, offset, size, 0, now});
        return 0x1122334455667788u + offset;
    }
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override {
        accesses.push_back({true, offset, size, value, now});
    }
    unsigned widest_access() const noexcept override { return widest; }
};

struct Observer final : DirectMemoryObserver {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    void direct_memory_invalidated(std::uint64_t first, std::uint64_t last) override {
        ranges.emplace_back(first, last);
    }
};

constexpr std::uint64_t kRamSize = 8 << 20;
constexpr std::uint64_t kLowSize = 6 << 20;  // the rest appears above 4 GiB
constexpr std::uint64_t kHighBase = 1ull << 32;
constexpr std::uint64_t kProbeBase = 0xfe000000;
constexpr std::uint64_t kNvmeBase = 0xfe100000;
constexpr std::uint64_t kMessageBase = 0xfee00000;

struct Board {
    TimeBase time;
    sim::Ram ram{kRamSize};
    Sink sink;
    sim::Recorder recorder;
    devices::Uart16550 uart{{}, &sink, nullptr, &recorder};
    Probe probe;
    RamTarget ram_target{"ram", ram, 50, 70};
    RegisterTarget uart_target{"uart", uart, time, 400};
    RegisterTarget probe_target{"probe", probe, time};
    Monitor monitor{"monitor"};
    Interconnect memory{"memory", "bus.memory"};
    Interconnect strict{"strict", "bus.strict", Unmapped::error};
    Interconnect io{"io", "bus.io"};
    BusMaster cpu0{"cpu0"};
    BusMaster cpu1{"cpu1"};
    BusMaster debugger{"debugger"};
    RamTarget strict_ram{"strict_ram", ram};

    Probe messages;
    RegisterTarget message_target{"messages", messages, time};
    devices::DiskImage disk{1 << 20, 512};
    DmaInitiator nvme_dma{"nvme_dma", time};
    devices::nvme::NvmeController nvme{{}, {&disk}, nvme_dma, &recorder};
    RegisterTarget nvme_target{"nvme", nvme, time};
    Monitor register_monitor{"register_monitor"};
    Monitor dma_monitor{"dma_monitor"};
    devices::Rtc rtc{{}};
    RegisterTarget rtc_target{"rtc", rtc, time};
    devices::AcpiPm pm{devices::PmTimer(), nullptr, nullptr};
    RegisterTarget pm_target{"pm", pm, time};

    Board() {
        memory.map({"nvme", kNvmeBase, 0x4000, 0, 0}, register_monitor.in);
        register_monitor.out.bind(nvme_target.socket);
        memory.map({"messages", kMessageBase, 0x100000, 0, 0}, message_target.socket);
        nvme_dma.socket.bind(dma_monitor.in);
        dma_monitor.out.bind(memory.initiators);
        io.map({"rtc", 0x70, 2, 0, 0}, rtc_target.socket);
        io.map({"pm", 0x400, 0x10, 0, 0}, pm_target.socket);
        memory.map({"ram.low", 0, kLowSize, 0, 0}, ram_target.socket);
        memory.map({"ram.high", kHighBase, kRamSize - kLowSize, kLowSize, 5}, ram_target.socket);
        memory.map({"probe", kProbeBase, 0x1000, 0, 0}, monitor.in);
        monitor.out.bind(probe_target.socket);
        strict.map({"ram", 0x1000, 0x1000, 0, 0}, strict_ram.socket);
        io.map({"com1", 0x3f8, 8, 0, 0}, uart_target.socket);
        cpu0.memory.bind(memory.initiators);
        cpu0.io.bind(io.initiators);
        cpu1.memory.bind(memory.initiators);
        cpu1.io.bind(io.initiators);
        debugger.memory.bind(strict.initiators);
        debugger.io.bind(io.initiators);
    }
};

Board& board() {
    static Board* const the_board = [] {
        auto* made = new Board;
        sc_core::sc_start(sc_core::SC_ZERO_TIME);
        return made;
    }();
    return *the_board;
}

std::map<std::string, std::uint64_t> statistics(const sim::StatisticsSource& source) {
    struct Collect final : sim::StatisticsSink {
        std::map<std::string, std::uint64_t> values;
        void add(std::string_view name, std::uint64_t value, std::string_view,
                 std::string_view) override {
            values[std::string(name)] = value;
        }
    } sink;
    source.collect(sink);
    return sink.values;
}

}  // namespace

TEST_CASE("memory: translation to the target and latency") {
    Board& b = board();
    sim::Duration delay = 1000;
    b.cpu0.write(Space::memory, 0x1230, 8, 0x8877665544332211u, delay);
    CHECK(delay == 1070);
    CHECK(b.cpu1.read(Space::memory, 0x1232, 4, delay) == 0x66554433);
    CHECK(delay == 1120);
    for (unsigned size = 1; size <= 8; ++size) {
        const std::uint64_t mask = ~std::uint64_t{0} >> (64 - 8 * size);
        CHECK(b.cpu1.read(Space::memory, 0x1230, size, delay) == (0x8877665544332211u & mask));
    }
    delay = 0;
    b.cpu0.write(Space::memory, kHighBase + 0x10, 2, 0xabcd, delay);
    CHECK(delay == 75);
    std::uint16_t word = 0;
    CHECK(b.ram.read(kLowSize + 0x10, word));
    CHECK(word == 0xabcd);
}

TEST_CASE("unmapped addresses float high and drop writes, and are counted") {
    Board& b = board();
    const auto before = statistics(b.memory);
    sim::Duration delay = 7;
    CHECK(b.cpu0.read(Space::memory, 0xfd000000, 4, delay) == 0xffffffff);
    CHECK(b.cpu0.read(Space::memory, 0xffffffffffffffff, 1, delay) == 0xff);
    b.cpu0.write(Space::memory, 0xfd000000, 4, 1, delay);
    CHECK(delay == 7);
    CHECK(b.cpu0.read(Space::io, 0x64, 1, delay) == 0xff);
    CHECK(b.cpu0.read(Space::io, 0xcf8, 4, delay) == 0xffffffff);
    const auto after = statistics(b.memory);
    CHECK(after.at("bus.memory.unmapped_reads") == before.at("bus.memory.unmapped_reads") + 2);
    CHECK(after.at("bus.memory.unmapped_writes") == before.at("bus.memory.unmapped_writes") + 1);
    CHECK(b.cpu0.refused() == 0);
}

TEST_CASE("a strict bus refuses what is not mapped") {
    Board& b = board();
    sim::Duration delay = 0;
    const std::uint64_t refused = b.debugger.refused();
    CHECK(b.debugger.read(Space::memory, 0x2000, 2, delay) == 0xffff);
    std::uint8_t bytes[16];
    CHECK_FALSE(b.debugger.read_block(Space::memory, 0x1ff8, bytes, delay));
    CHECK(b.debugger.read_block(Space::memory, 0x1ff0, bytes, delay));
    CHECK(b.debugger.refused() == refused + 2);
}

TEST_CASE("an access across the end of a mapping is split") {
    Board& b = board();
    sim::Duration delay = 0;
    b.cpu0.write(Space::memory, kLowSize - 4, 8, 0x1122334455667788u, delay);
    CHECK(b.cpu0.read(Space::memory, kLowSize - 4, 8, delay) == 0xffffffff55667788u);
    std::vector<std::uint8_t> block(64, 0x5a);
    CHECK(b.cpu0.write_block(Space::memory, kHighBase - 32, block, delay));
    std::vector<std::uint8_t> back(64);
    CHECK(b.cpu0.read_block(Space::memory, kHighBase - 32, back, delay));
    for (std::size_t i = 0; i < 64; ++i) CHECK(back[i] == (i < 32 ? 0xff : 0x5a));
    CHECK_FALSE(b.cpu0.read_block(Space::memory, ~std::uint64_t{0} - 3, back, delay));
}

TEST_CASE("debug access reaches over mappings, without time") {
    Board& b = board();
    const std::vector<std::uint8_t> text{'h', 'v', 's', 'i', 'm'};
    CHECK(b.cpu0.write_debug(0x3000, text) == text.size());
    std::vector<std::uint8_t> back(5);
    CHECK(b.cpu1.read_debug(0x3000, back) == 5);
    CHECK(back == text);
    std::vector<std::uint8_t> edge(16);
    CHECK(b.cpu0.read_debug(kLowSize - 6, edge) == 6);
    CHECK(b.cpu0.read_debug(0xfd000000, edge) == 0);
}

TEST_CASE("direct memory is cut to the mapping and moved to its address") {
    Board& b = board();
    const auto low = b.cpu0.direct_memory(0x1234);
    REQUIRE(low.has_value());
    CHECK(low->first == 0);
    CHECK(low->last == kLowSize - 1);
    CHECK(low->data == b.ram.data());
    CHECK(low->read_latency == 50);
    CHECK(low->write_latency == 70);
    const auto high = b.cpu0.direct_memory(kHighBase + 5);
    REQUIRE(high.has_value());
    CHECK(high->first == kHighBase);
    CHECK(high->last == kHighBase + (kRamSize - kLowSize) - 1);
    CHECK(high->data == b.ram.data() + kLowSize);
    CHECK(high->read_latency == 55);
    CHECK(high->writable);
    CHECK_FALSE(b.cpu0.direct_memory(0xfd000000).has_value());
    CHECK_FALSE(b.cpu0.direct_memory(kProbeBase).has_value());
}

TEST_CASE("invalidation reaches every initiator at its addresses") {
    Board& b = board();
    Observer seen0;
    Observer seen1;
    b.cpu0.set_observer(&seen0);
    b.cpu1.set_observer(&seen1);
    b.ram_target.socket->invalidate_direct_mem_ptr(kLowSize - 0x1000, kLowSize + 0xfff);
    const std::vector<std::pair<std::uint64_t, std::uint64_t>> expected{
        {kLowSize - 0x1000, kLowSize - 1}, {kHighBase, kHighBase + 0xfff}};
    CHECK((seen0.ranges == expected));
    CHECK((seen1.ranges == expected));
    b.cpu0.set_observer(nullptr);
    b.cpu1.set_observer(nullptr);
}

TEST_CASE("a plain module between bus and device sees every payload") {
    Board& b = board();
    b.monitor.seen.clear();
    b.probe.accesses.clear();
    sim::Duration delay = 300;
    b.cpu0.write(Space::memory, kProbeBase + 0x14, 4, 0xdeadbeef, delay);
    CHECK(b.cpu1.read(Space::memory, kProbeBase + 0x20, 2, delay) == 0x77a8);
    b.cpu1.read(Space::memory, kProbeBase + 0x20, 8, delay);
    REQUIRE(b.monitor.seen.size() == 3);
    CHECK(b.monitor.seen[0].command == tlm::TLM_WRITE_COMMAND);
    CHECK(b.monitor.seen[0].address == 0x14);
    CHECK(b.monitor.seen[0].data == std::vector<std::uint8_t>{0xef, 0xbe, 0xad, 0xde});
    CHECK(b.monitor.seen[0].delay_ps == 300);
    CHECK(b.monitor.seen[1].command == tlm::TLM_READ_COMMAND);
    CHECK(b.monitor.seen[1].data == std::vector<std::uint8_t>{0xa8, 0x77});
    REQUIRE(b.probe.accesses.size() == 4);  // the 8-byte read became two
    CHECK(b.probe.accesses[0].value == 0xdeadbeef);
    CHECK(b.probe.accesses[0].now == 300);
    CHECK(b.probe.accesses[2].offset == 0x20);
    CHECK(b.probe.accesses[3].offset == 0x24);
    CHECK(b.probe.accesses[3].size == 4);
}

TEST_CASE("a clock that is ahead moves its reader up; a restored run starts at its time") {
    Board& b = board();
    b.probe.accesses.clear();
    b.probe.ahead = 5000;
    sim::Duration delay = 1000;
    b.cpu0.read(Space::memory, kProbeBase, 4, delay);
    CHECK(delay == 5000);
    b.probe.ahead = 0;
    b.time.at_zero = 1'000'000;
    delay = 3;
    b.cpu0.write(Space::memory, kProbeBase, 1, 0, delay);
    CHECK(b.probe.accesses.back().now == 1'000'003);
    CHECK(b.time.delay_until(1'000'500).value() == 500);
    CHECK(b.time.delay_until(999).value() == 0);
    b.time.at_zero = 0;
}

TEST_CASE("ports: a word access to a byte device becomes two") {
    Board& b = board();
    b.sink.text.clear();
    sim::Duration delay = 10;
    b.cpu0.write(Space::io, 0x3f8, 1, 'A', delay);
    CHECK(delay == 410);
    CHECK(b.sink.text == "A");
    CHECK(b.cpu0.read(Space::io, 0x3fd, 2, delay) == 0xb060);  // LSR, MSR
    b.cpu0.write(Space::io, 0x3fe, 4, 0x42'42'5a'00, delay);   // MSR, SCR, then nothing
    CHECK(b.cpu0.read(Space::io, 0x3ff, 1, delay) == 0x5a);
    CHECK(b.sink.times.back() == 10);
}

TEST_CASE("overlapping or impossible mappings are configuration errors") {
    Board& b = board();
    CHECK_THROWS_AS(b.memory.map({"again", kLowSize - 1, 1, 0, 0}, b.monitor.in), sim::ConfigError);
    CHECK_THROWS_AS(b.memory.map({"around", 0, ~std::uint64_t{0}, 0, 0}, b.monitor.in),
                    sim::ConfigError);
    CHECK_THROWS_AS(b.memory.map({"empty", 0xfd000000, 0, 0, 0}, b.monitor.in), sim::ConfigError);
    CHECK_THROWS_AS(b.memory.map({"wrap", 0xfffffffffffff000u, 0x1001, 0, 0}, b.monitor.in),
                    sim::ConfigError);
    try {
        b.memory.map({"disk", kProbeBase + 0xfff, 0x1000, 0, 0}, b.monitor.in);
        FAIL("no error");
    } catch (const sim::ConfigError& error) {
        CHECK(std::string(error.what())
                  .find("'disk' at 0xfe000fff-0xfe001ffe overlaps 'probe' at "
                        "0xfe000000-0xfe000fff") != std::string::npos);
    }
    CHECK(b.memory.mappings().size() == 5);
}

TEST_CASE("clocks on ports move the reader's delay, not SystemC's time") {
    Board& b = board();
    sim::Duration ahead = 3 * sim::kSecond;
    const std::uint64_t ticks = b.cpu0.read(Space::io, 0x408, 4, ahead);
    CHECK(ticks == 3 * 3579545);
    sim::Duration behind = 10;
    CHECK(b.cpu1.read(Space::io, 0x408, 4, behind) == ticks);
    CHECK(behind == 3 * sim::kSecond);
    b.cpu0.write(Space::io, 0x70, 1, 0x00, ahead);
    CHECK(b.cpu0.read(Space::io, 0x71, 1, ahead) == 0x03);
    CHECK(sc_core::sc_time_stamp() == sc_core::SC_ZERO_TIME);
}

// A disk read, all of it transactions: registers, queue entry, data, completion entry, message.
TEST_CASE("plain modules on both sides of the disk see all it does") {
    namespace nvme = devices::nvme::spec;
    Board& b = board();
    sim::Duration delay = 1000;
    const auto reg = [&](std::uint64_t offset, std::uint64_t value, unsigned size = 4) {
        b.cpu0.write(Space::memory, kNvmeBase + offset, size, value, delay);
    };
    reg(nvme::kAqa, 0x000f000f);
    reg(nvme::kAsq, 0x100000, 8);
    reg(nvme::kAcq, 0x101000, 8);
    reg(nvme::kMsixTable, kMessageBase + 0x1000);
    reg(nvme::kMsixTable + 8, 0x4041);
    reg(nvme::kMsixTable + 12, 0);
    reg(nvme::kCc, 4u << 20 | 6u << 16 | 1);
    CHECK(b.cpu0.read(Space::memory, kNvmeBase + nvme::kCsts, 4, delay) == 0);
    delay += devices::nvme::NvmeConfig{}.enable_time;
    CHECK(b.cpu0.read(Space::memory, kNvmeBase + nvme::kCsts, 4, delay) == 1);

    std::vector<std::uint8_t> identify(64);
    identify[0] = 6;
    identify[2] = 0x77;
    devices::store_le<std::uint64_t>(identify, 24, 0x102000);
    identify[40] = 1;
    CHECK(b.cpu0.write_block(Space::memory, 0x100000, identify, delay));
    b.register_monitor.seen.clear();
    b.dma_monitor.seen.clear();
    b.messages.accesses.clear();
    const sim::Time rung = delay;
    reg(nvme::kDoorbells, 1);
    REQUIRE(b.register_monitor.seen.size() == 1);
    CHECK(b.register_monitor.seen[0].address == nvme::kDoorbells);
    CHECK(b.register_monitor.seen[0].delay_ps == rung);
    const sim::Time due = b.nvme.next_deadline();
    // The queue entry was fetched through memory, which takes 50 ps.
    CHECK(due == rung + 50 + devices::nvme::NvmeConfig{}.admin_latency);
    b.nvme.advance_to(due);
    const auto& seen = b.dma_monitor.seen;
    REQUIRE(seen.size() == 2);  // no completion entry before the data's 70 ps are over
    CHECK(b.nvme.next_deadline() == due + 70);
    b.nvme.advance_to(due + 69);
    CHECK(seen.size() == 2);
    b.nvme.advance_to(due + 70);
    REQUIRE(seen.size() == 4);
    CHECK(seen[0].command == tlm::TLM_READ_COMMAND);
    CHECK(seen[0].address == 0x100000);
    CHECK(seen[0].data == identify);
    CHECK(seen[0].delay_ps == rung);
    CHECK(seen[1].command == tlm::TLM_WRITE_COMMAND);
    CHECK(seen[1].address == 0x102000);
    CHECK(seen[1].data.size() == 4096);
    CHECK(seen[1].delay_ps == due);
    CHECK(seen[2].address == 0x101000);
    CHECK(seen[2].data ==
          std::vector<std::uint8_t>{0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x77, 0, 1, 0});
    CHECK(seen[2].delay_ps == due + 70);
    CHECK(seen[3].address == kMessageBase + 0x1000);
    CHECK(seen[3].delay_ps == due + 140);
    REQUIRE(b.messages.accesses.size() == 1);
    CHECK(b.messages.accesses[0].offset == 0x1000);
    CHECK(b.messages.accesses[0].value == 0x4041);
}
