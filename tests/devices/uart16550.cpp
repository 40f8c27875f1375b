#include "devices/uart16550.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace hvsim;
using devices::Uart16550;
using devices::UartConfig;

namespace {

struct Sink final : devices::CharacterSink {
    std::string text;
    std::vector<sim::Time> times;
    void put(std::uint8_t byte, sim::Time now) override {
        text.push_back(static_cast<char>(byte));
        times.push_back(now);
    }
};

struct Line final : devices::InterruptLine {
    std::vector<std::pair<bool, sim::Time>> changes;
    void set(bool level, sim::Time now) override { changes.emplace_back(level, now); }
    bool level() const { return !changes.empty() && changes.back().first; }
};

struct Bench {
    explicit Bench(const UartConfig& config = {}) : uart(config, &sink, &line, &recorder) {}
    std::uint8_t in(unsigned offset) { return uart.read(offset, now); }
    void out(unsigned offset, unsigned value) {
        uart.write(offset, static_cast<std::uint8_t>(value), now);
    }
    void type(std::string_view text) {
        uart.queue_input({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, now);
    }
    Sink sink;
    Line line;
    sim::Recorder recorder;
    sim::Time now = 0;
    Uart16550 uart;
};

constexpr unsigned kData = 0, kIer = 1, kIir = 2, kFcr = 2, kLcr = 3, kMcr = 4, kLsr = 5, kMsr = 6,
                   kScr = 7;
constexpr unsigned kOut2 = 0x08;

}  // namespace

TEST_CASE("registers after reset") {
    Bench b;
    CHECK(b.in(kIer) == 0x00);
    CHECK(b.in(kIir) == 0x01);
    CHECK(b.in(kLcr) == 0x00);
    CHECK(b.in(kMcr) == 0x00);
    CHECK(b.in(kLsr) == 0x60);
    CHECK(b.in(kMsr) == 0xb0);
    CHECK(b.in(kScr) == 0x00);
    CHECK(b.line.changes.empty());
}

// The order of accesses by which the Linux 8250 driver tells a 16550A from its relatives.
TEST_CASE("a driver's probe finds a 16550A") {
    Bench b;
    b.out(kIer, 0x00);
    CHECK((b.in(kIer)&0x0f) == 0x00);
    b.out(kIer, 0x0f);
    CHECK((b.in(kIer)&0x0f) == 0x0f);
    b.out(kIer, 0x00);

    const std::uint8_t saved = b.in(kMcr);
    b.out(kMcr, 0x10 | 0x0a);
    CHECK((b.in(kMsr)&0xf0) == 0x90);
    b.out(kMcr, saved);

    b.out(kLcr, 0xbf);
    b.out(kFcr, 0x00);
    b.out(kLcr, 0x00);
    b.out(kFcr, 0x01);
    CHECK((b.in(kIir) >> 6) == 3);  // FIFOs that work

    b.out(kLcr, 0x80);
    CHECK(b.in(2) != 0);  // not a 16650: no EFR
    b.out(kLcr, 0xbf);
    CHECK(b.in(2) != 0);
    b.out(kLcr, 0x00);

    const std::uint8_t mcr = b.in(kMcr);
    b.out(kLcr, 0xe0);
    CHECK(((b.in(2) ^ mcr) & 0x10) == 0);  // not a SuperIO with EXCR1
    b.out(kLcr, 0x00);
    b.out(kMcr, mcr ^ 0x10);
    b.out(kLcr, 0xe0);
    const std::uint8_t excr = b.in(2);
    b.out(kLcr, 0x00);
    b.out(kMcr, mcr);
    CHECK(((excr ^ mcr) & 0x10) == 0);

    b.out(kFcr, 0x21);
    CHECK((b.in(kIir)&0x20) == 0);  // not a 16750: no 64-byte FIFO
    b.out(kIer, 0x40);
    CHECK((b.in(kIer)&0x40) == 0);  // not an XScale: no UUE
    b.out(kScr, 0xa5);
    CHECK(b.in(kScr) == 0xa5);
}

// The start-up test for ports whose THRE interrupt does not come again.
TEST_CASE("enabling the transmitter interrupt raises it each time") {
    Bench b;
    b.out(kFcr, 0x01);
    for (int round = 0; round < 2; ++round) {
        b.out(kIer, 0x02);
        CHECK(b.in(kIir) == 0xc2);
        CHECK(b.in(kIir) == 0xc1);  // reading the source clears it
        b.out(kIer, 0x00);
    }
}

TEST_CASE("divisor latch hides data and interrupt enable") {
    Bench b;
    b.out(kLcr, 0x83);
    b.out(kData, 0x01);
    b.out(kIer, 0x02);
    CHECK(b.in(kData) == 0x01);
    CHECK(b.in(kIer) == 0x02);
    b.out(kLcr, 0x03);
    CHECK(b.in(kIer) == 0x00);
    CHECK(b.sink.text.empty());
}

TEST_CASE("sending at once") {
    Bench b;
    b.out(kMcr, kOut2);
    b.out(kFcr, 0x01);
    b.out(kIer, 0x02);
    CHECK(b.line.level());
    b.now = 500;
    for (const char c : std::string("Hi\n")) b.out(kData, static_cast<std::uint8_t>(c));
    CHECK(b.sink.text == "Hi\n");
    CHECK(b.in(kLsr) == 0x60);
    CHECK(b.in(kIir) == 0xc2);
    CHECK_FALSE(b.line.level());
    // Each character is a falling and a rising edge for an edge-triggered controller.
    CHECK(b.line.changes.size() == 1 + 2 * 3 + 1);
    CHECK(b.recorder.count(sim::EventKind::kConsole) == 3);
    CHECK(b.uart.next_deadline() == sim::kNever);
}

TEST_CASE("sending with a line that takes time") {
    UartConfig config;
    config.transmit_time = 100;
    Bench b(config);
    b.out(kMcr, kOut2);
    b.out(kFcr, 0x01);
    b.out(kIer, 0x02);
    b.in(kIir);
    b.out(kData, 'a');
    CHECK(b.in(kLsr) == 0x20);  // in the shift register: the FIFO has room, the line is busy
    CHECK(b.line.level());
    for (int i = 0; i < 16; ++i) b.out(kData, static_cast<unsigned>('b' + i));
    CHECK(b.in(kLsr) == 0x00);
    CHECK_FALSE(b.line.level());
    b.out(kData, '!');  // the seventeenth is lost
    CHECK(b.uart.next_deadline() == 100);
    b.uart.advance_to(1599);
    CHECK(b.sink.text == "abcdefghijklmno");
    CHECK(b.line.level() == false);
    b.uart.advance_to(1600);
    CHECK((b.line.changes.back() == std::pair<bool, sim::Time>{true, 1600}));
    b.now = 1700;
    CHECK(b.in(kLsr) == 0x60);
    CHECK(b.sink.text == "abcdefghijklmnopq");
    CHECK(b.sink.times.front() == 100);
    CHECK(b.sink.times.back() == 1700);
}

TEST_CASE("a processor whose time is behind changes nothing") {
    UartConfig config;
    config.transmit_time = 100;
    Bench b(config);
    b.now = 1000;
    b.out(kData, 'x');
    b.now = 10;
    CHECK(b.in(kLsr) == 0x20);
    b.out(kData, 'y');
    b.uart.advance_to(1200);
    CHECK(b.sink.text == "xy");
    CHECK(b.sink.times == std::vector<sim::Time>{1100, 1200});
}

TEST_CASE("receiving: trigger level, timeout, refill") {
    Bench b;
    b.out(kMcr, kOut2);
    b.out(kFcr, 0x81);  // trigger at 8
    b.out(kIer, 0x01);
    b.type("abc");
    CHECK(b.line.level());
    CHECK(b.in(kIir) == 0xcc);
    CHECK(b.in(kLsr) == 0x61);
    CHECK(b.in(kData) == 'a');
    b.type(std::string(30, 'z'));
    CHECK(b.uart.input_waiting() == 16);
    CHECK(b.in(kIir) == 0xc4);
    std::string got;
    while (b.in(kLsr)&1) got.push_back(static_cast<char>(b.in(kData)));
    CHECK(got == "bc" + std::string(30, 'z'));
    CHECK(b.in(kIir) == 0xc1);
    CHECK_FALSE(b.line.level());
    CHECK(b.in(kData) == 0);
    CHECK((b.in(kLsr)&2) == 0);
}

TEST_CASE("receiving at a pace") {
    UartConfig config;
    config.receive_time = 1000;
    Bench b(config);
    b.out(kMcr, kOut2);
    b.out(kFcr, 0x41);  // trigger at 4
    b.out(kIer, 0x01);
    b.now = 50;
    b.type("hello");
    CHECK(b.uart.next_deadline() == 1050);
    b.uart.advance_to(4049);
    CHECK_FALSE(b.line.level());
    b.uart.advance_to(4050);
    CHECK((b.line.changes.back() == std::pair<bool, sim::Time>{true, 4050}));
    b.now = 4100;
    for (int i = 0; i < 4; ++i) b.in(kData);
    CHECK_FALSE(b.line.level());
    b.uart.advance_to(9049);
    CHECK_FALSE(b.line.level());
    b.uart.advance_to(9050);  // 'o' came at 5050; four characters later it times out
    CHECK(b.line.level());
    b.now = 9100;
    CHECK(b.in(kIir) == 0xcc);
    CHECK(b.in(kData) == 'o');
}

TEST_CASE("a character that was held back does not arrive in the past") {
    UartConfig config;
    config.receive_time = 10;
    Bench b(config);
    b.type("abc");  // no FIFO: one character of room
    b.uart.advance_to(1000);
    CHECK(b.uart.input_waiting() == 2);
    b.now = 1000;
    CHECK(b.in(kData) == 'a');
    CHECK((b.in(kLsr)&1) == 1);
    CHECK(b.in(kData) == 'b');
    CHECK((b.in(kLsr)&1) == 0);
    CHECK(b.uart.next_deadline() == 1010);
}

TEST_CASE("loopback: data, overrun and modem lines") {
    Bench b;
    b.out(kFcr, 0x01);
    b.out(kMcr, 0x10);
    b.in(kMsr);
    for (int i = 0; i < 17; ++i) b.out(kData, static_cast<unsigned>(i));
    CHECK(b.sink.text.empty());
    b.out(kIer, 0x0f);
    CHECK(b.in(kIir) == 0xc6);
    CHECK(b.in(kLsr) == 0x63);
    CHECK(b.in(kLsr) == 0x61);
    CHECK(b.in(kIir) == 0xc4);
    for (unsigned i = 0; i < 16; ++i) CHECK(b.in(kData) == i);
    CHECK(b.in(kIir) == 0xc2);
    b.out(kMcr, 0x1f);
    CHECK(b.in(kIir) == 0xc0);
    CHECK(b.in(kMsr) == 0xfb);  // RI rose: no trailing edge
    b.out(kMcr, 0x10);
    CHECK(b.in(kMsr) == 0x0f);
    CHECK(b.in(kMsr) == 0x00);
    CHECK(b.line.changes.empty());  // OUT2's pin is inactive in loopback
}

TEST_CASE("input waits while the port is in loopback") {
    Bench b;
    b.out(kFcr, 0x01);
    b.out(kMcr, 0x10);
    b.type("q");
    CHECK((b.in(kLsr)&1) == 0);
    b.out(kMcr, 0x00);
    CHECK(b.in(kData) == 'q');
}

TEST_CASE("FIFO control empties what it says") {
    Bench b;
    b.out(kFcr, 0x01);
    b.type("xy");
    b.out(kFcr, 0x03);
    CHECK((b.in(kLsr)&1) == 0);
    b.type("z");
    b.out(kFcr, 0x02);  // FIFOs off: the change itself empties them
    CHECK((b.in(kLsr)&1) == 0);
    CHECK(b.in(kIir) == 0x01);
}

TEST_CASE("any sequence of accesses keeps line level and IIR in step") {
    UartConfig config;
    config.transmit_time = 7;
    config.receive_time = 5;
    Bench b(config);
    std::uint64_t state = 1;
    for (int i = 0; i < 20000; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const auto r = static_cast<unsigned>(state >> 33);
        b.now += r % 9;
        if (r % 11 == 0) b.type("k");
        const unsigned offset = (r >> 4) % 8;
        if ((r >> 8) % 2 != 0)
            b.out(offset, r >> 9);
        else
            b.in(offset);
        CHECK(b.uart.next_deadline() > b.now);
        const std::uint8_t mcr = b.in(kMcr);
        const bool gate = (mcr & 0x08) != 0 && (mcr & 0x10) == 0;
        const bool expected_low = !gate;
        if (expected_low) CHECK_FALSE(b.line.level());
        for (std::size_t n = 1; n < b.line.changes.size(); ++n) {
            const bool toggled = b.line.changes[n].first != b.line.changes[n - 1].first;
            REQUIRE(toggled);
        }
        if (b.line.changes.size() > 4)
            b.line.changes.erase(b.line.changes.begin(), b.line.changes.end() - 2);
    }
}
