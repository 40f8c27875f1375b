// One instruction with a page served by a handler.
#include <doctest/doctest.h>

#include <stdexcept>

#include "tests/cpu/engine/machine.h"

using namespace hvsim::cpu::engine;
using namespace hvsim::cpu::engine::test;

namespace {

constexpr std::uint64_t kDevicePage = 0xfee00000, kLinear = 0x9000;

struct Call {
    bool write;
    std::uint64_t physical;
    unsigned size;
    std::uint64_t value;
    bool operator==(const Call&) const = default;
};

struct Device final : MmioHandler {
    std::uint64_t mmio_read(std::uint64_t physical, unsigned size) override {
        if (fail) throw std::runtime_error("device");
        calls.push_back({false, physical, size, 0});
        return answer;
    }
    void mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) override {
        calls.push_back({true, physical, size, value});
    }
    std::vector<Call> calls;
    std::uint64_t answer = 0;
    bool fail = false;
};

/// Page 9 is refused always; the fault is answered by an assist.
struct Assisted : Machine {
    Assisted() {
        processor.on_translate = [this](std::uint64_t linear, Access, bool, Translation& out) {
            out = {linear, !read_only, true};
            if (linear >> 12 == 9) return readable;
            return linear < kMemory;
        };
        processor.handle = [this](const Intercept& i) {
            if (i.code != InterceptCode::page_fault || i.fault.linear >> 12 != 9) return false;
            engine.run_assisted(i.fault.linear, kDevicePage, device);
            return true;
        };
        engine.set_gpr(kRbx, kLinear + 0x30);
    }
    Device device;
    bool readable = false, read_only = false;
};

}  // namespace

TEST_CASE("a load and a store are served and run once, each access asking anew") {
    Assisted m;
    m.device.answer = 0x1122334455667788;
    m.put(0x1000, {0x8b, 0x03, 0x89, 0x43, 0x04, 0x48, 0x8b, 0x4b, 0x10, 0x8a, 0x53, 0x01, 0xf4});
    m.run_from(0x1000);
    CHECK(m.last().code == InterceptCode::hlt);
    CHECK(m.processor.seen.size() == 5);
    CHECK(m.engine.gpr(kRax) == 0x55667788);
    CHECK(m.engine.gpr(kRcx) == 0x1122334455667788);
    CHECK((m.engine.gpr(kRdx) & 0xff) == 0x88);
    CHECK(m.device.calls == std::vector<Call>{{false, kDevicePage + 0x30, 4, 0},
                                              {true, kDevicePage + 0x34, 4, 0x55667788},
                                              {false, kDevicePage + 0x40, 8, 0},
                                              {false, kDevicePage + 0x31, 1, 0}});
    CHECK(m.engine.code_bytes() == 12);
    CHECK_FALSE(m.engine.interrupt_shadow());
}

TEST_CASE("a read-modify-write reads and writes in one exit") {
    Assisted m;
    m.device.answer = 0x0f;
    for (const bool locked : {false, true}) {
        CAPTURE(locked);
        m.device.calls.clear();
        const std::uint64_t at = locked ? 0x1100 : 0x1000;
        m.put(at, {static_cast<std::uint8_t>(locked ? 0xf0 : 0x90), 0x83, 0x0b, 0x70, 0xf4});
        m.run_from(at);  // [lock] or dword [rbx], 0x70
        CHECK(m.processor.seen.size() == 2);
        CHECK(m.device.calls == std::vector<Call>{{false, kDevicePage + 0x30, 4, 0},
                                                  {true, kDevicePage + 0x30, 4, 0x7f}});
    }
}

TEST_CASE("the other operand is ordinary memory") {
    Assisted m;
    m.ram.write<std::uint32_t>(0xa000, 0xdeadbeef);
    m.engine.set_gpr(kRsi, 0xa000);
    m.engine.set_gpr(kRdi, kLinear);
    m.put(0x1000, {0xa5, 0xf4});  // movsd to the device
    m.run_from(0x1000);
    CHECK(m.device.calls == std::vector<Call>{{true, kDevicePage, 4, 0xdeadbeef}});
    CHECK(m.engine.gpr(kRsi) == 0xa004);
    CHECK(m.engine.gpr(kRdi) == kLinear + 4);

    m.device.calls.clear();
    m.device.answer = 0x77;
    m.put(0x1100, {0xff, 0x33, 0xf4});  // push qword [rbx]
    m.run_from(0x1100);
    CHECK(m.engine.gpr(kRsp) == 0x7ff8);
    CHECK(m.peek<std::uint64_t>(0x7ff8) == 0x77);
    CHECK(m.device.calls.size() == 1);

    m.device.calls.clear();
    m.device.answer = 0x1200;
    m.put(0x1200, {0xf4});
    m.put(0x1180, {0xff, 0x23});  // jmp [rbx]
    m.run_from(0x1180);
    CHECK(m.engine.rip() == 0x1200);
    CHECK(m.last().code == InterceptCode::hlt);
}

TEST_CASE("a repeated string instruction is served one iteration an exit") {
    Assisted m;
    m.engine.set_gpr(kRdi, kLinear);
    m.engine.set_gpr(kRcx, 3);
    m.engine.set_gpr(kRax, 0x5a);
    m.put(0x1000, {0xf3, 0xaa, 0xf4});
    m.run_from(0x1000);
    CHECK(m.processor.seen.size() == 4);
    CHECK(m.device.calls.size() == 3);
    CHECK(m.device.calls.at(2) == Call{true, kDevicePage + 2, 1, 0x5a});
    CHECK(m.engine.gpr(kRcx) == 0);
}

TEST_CASE("a page readable in the TLB is served all the same, and is itself again afterwards") {
    Assisted m;
    m.readable = m.read_only = true;
    m.ram.write<std::uint32_t>(kLinear + 0x30, 0xabcd);
    m.processor.handle = [&](const Intercept& i) {
        if (i.code != InterceptCode::cpuid) return false;
        m.engine.set_rip(m.engine.rip() + 2);
        m.engine.run_assisted(kLinear, kDevicePage, m.device);
        return true;
    };
    m.device.answer = 0x1234;
    // mov eax, [rbx]; cpuid; mov ecx, [rbx]; mov edx, [rbx]; hlt
    m.put(0x1000, {0x8b, 0x03, 0x0f, 0xa2, 0x8b, 0x0b, 0x8b, 0x13, 0xf4});
    m.run_from(0x1000);
    CHECK(m.engine.gpr(kRax) == 0xabcd);
    CHECK(m.engine.gpr(kRcx) == 0x1234);
    CHECK(m.engine.gpr(kRdx) == 0xabcd);
}

TEST_CASE("another intercept of the instruction ends the assist") {
    Assisted m;
    m.processor.on_translate = [&](std::uint64_t linear, Access, bool, Translation& out) {
        out = {linear, true, true};
        return linear >> 12 != 9 && linear >> 12 != 10;
    };
    m.engine.set_gpr(kRsi, 0xa000);
    m.engine.set_gpr(kRdi, kLinear);
    m.put(0x1000, {0xa5, 0xf4});  // reads page 10 first
    bool assisted = false;
    m.processor.handle = [&](const Intercept&) {
        if (assisted) return false;
        assisted = true;
        m.engine.run_assisted(kLinear, kDevicePage, m.device);
        return true;
    };
    m.run_from(0x1000);
    CHECK(m.processor.seen.size() == 2);
    CHECK(m.last().fault.linear == 0xa000);
    CHECK(m.engine.rip() == 0x1000);
    CHECK(m.device.calls.empty());
    CHECK_FALSE(m.engine.interrupt_shadow());
    CHECK(m.engine.code_bytes() == 0);
}

TEST_CASE("an assist asked for between runs serves the next instruction, even at the limit") {
    Assisted m;
    m.device.answer = 5;
    m.put(0x1000, {0x8b, 0x03, 0xf4});
    m.engine.set_rip(0x1000);
    m.engine.set_limit(0);
    m.engine.run_assisted(kLinear, kDevicePage, m.device);
    CHECK(m.engine.run() == RunEnd::limit);
    CHECK(m.engine.gpr(kRax) == 5);
    CHECK(m.engine.rip() == 0x1002);
    CHECK(m.engine.code_bytes() == 2);
}

TEST_CASE("a stop asked for by the handler takes effect when the instruction is complete") {
    Assisted m;
    struct Stopper final : MmioHandler {
        explicit Stopper(Engine& e) : engine(e) {}
        std::uint64_t mmio_read(std::uint64_t, unsigned) override {
            engine.request_stop();
            return 3;
        }
        void mmio_write(std::uint64_t, unsigned, std::uint64_t) override {}
        Engine& engine;
    } stopper(m.engine);
    m.put(0x1000, {0x8b, 0x03, 0xff, 0xc1, 0xf4});
    m.engine.set_rip(0x1000);
    m.engine.run_assisted(kLinear, kDevicePage, stopper);
    CHECK(m.engine.run() == RunEnd::stop_requested);
    CHECK(m.engine.gpr(kRax) == 3);
    CHECK(m.engine.rip() == 0x1002);
    CHECK(m.engine.gpr(kRcx) == 0);
}

TEST_CASE("an exception of the handler leaves run()") {
    Assisted m;
    m.device.fail = true;
    m.put(0x1000, {0x8b, 0x03, 0xf4});
    CHECK_THROWS_AS(m.run_from(0x1000), std::runtime_error);
    m.device.fail = false;
    m.device.answer = 8;
    m.run_from(0x1000);
    CHECK(m.engine.gpr(kRax) == 8);
}

TEST_CASE("the guest's trap flag traps after the assisted instruction") {
    Assisted m;
    m.put(0x1000, {0x8b, 0x03, 0xf4});
    m.engine.set_rflags(0x102);
    m.run_from(0x1000);
    REQUIRE(m.processor.seen.size() == 2);
    CHECK(static_cast<unsigned>(m.last().code) == 0x41);
    CHECK(m.engine.rip() == 0x1002);
    CHECK(m.device.calls.size() == 1);
    CHECK(m.engine.code_bytes() == 2);
}
