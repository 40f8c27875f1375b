// The code buffer never fills, and when it is emptied changes nothing that a guest can see.
#include <doctest/doctest.h>

#include "sim/error.h"
#include "tests/cpu/engine/machine.h"

using namespace hvsim;
using namespace hvsim::cpu::engine;
using namespace hvsim::cpu::engine::test;

namespace {

struct Result {
    std::uint64_t bytes, sum, chunks, flushes, translated, intercepts, asked;
};

/// 3,000 short blocks all over memory, run over and over: each adds its number and jumps to the
/// next.
Result run_blocks(std::uint64_t code_buffer) {
    constexpr unsigned kBlocks = 3000, kStride = 0x100;
    Machine m(code_buffer);
    for (unsigned i = 0; i < kBlocks; ++i) {
        const std::uint64_t at = 0x10000 + i * kStride;
        m.put(at, {0x81, 0xc0});  // add eax, i
        m.ram.write<std::uint32_t>(at + 2, i);
        if (i % 100 == 7)
            m.put(at + 6, {0x0f, 0xa2});  // cpuid
        else
            m.put(at + 6, {0x90, 0x90});
        const bool last = i + 1 == kBlocks;
        m.put(at + 8, {0xe9});
        m.ram.write<std::uint32_t>(
            at + 9, static_cast<std::uint32_t>(last ? 0x2000 - (at + 13) : kStride - 13));
    }
    m.put(0x2000, {0xff, 0xc9, 0x74, 0x05, 0xe9, 0, 0, 0, 0, 0xf4});  // dec ecx; jz +5; jmp; hlt
    m.ram.write<std::uint32_t>(0x2005, 0x10000 - 0x2009);
    Result result{};
    m.processor.handle = [&](const Intercept& i) {
        if (i.code != InterceptCode::cpuid) return false;
        m.engine.set_rip(m.engine.rip() + 2);
        ++result.intercepts;
        return true;
    };
    m.engine.set_gpr(kRcx, 6);
    m.engine.set_rip(0x2000);
    do {
        ++result.chunks;
        m.engine.set_limit(m.engine.code_bytes() + 997);
    } while (m.engine.run() == RunEnd::limit);
    result.bytes = m.engine.code_bytes();
    result.sum = m.engine.gpr(kRax);
    result.asked = m.processor.fills;
    result.flushes = m.engine.counters().code_buffer_flushes;
    result.translated = m.engine.counters().blocks_translated;
    return result;
}

}  // namespace

TEST_CASE("a small buffer is emptied in time, and two sizes run alike") {
    const Result small = run_blocks(2 << 20);
    const Result large = run_blocks(32 << 20);
    CHECK(small.flushes >= 5);
    CHECK(large.flushes == 0);
    CHECK(large.sum == 5 * (2999U * 3000U / 2));
    CHECK(small.sum == large.sum);
    CHECK(small.bytes == large.bytes);
    CHECK(small.chunks == large.chunks);
    CHECK(small.asked == large.asked);
    CHECK(small.intercepts == large.intercepts);
    CHECK(small.translated > large.translated);
}

TEST_CASE("blocks of much host code can't fill the buffer either") {
    // 2,000 blocks of 400 MOVSB each, which take some 100 KiB of host code apiece (in parts).
    Machine m(2 << 20);
    std::vector<std::uint8_t> block(400, 0xa4);
    for (unsigned round = 0; round < 200; ++round) {
        for (unsigned i = 0; i < 8; ++i) {
            const std::uint64_t at = 0x10000 + i * 0x1000 + round;
            m.put(at, block);
            m.put(at + block.size(), {0xf4});
            m.engine.set_gpr(kRsi, 0x40000);
            m.engine.set_gpr(kRdi, 0x50000);
            m.run_from(at);
            REQUIRE(m.last().code == InterceptCode::hlt);
            REQUIRE(m.engine.gpr(kRsi) == 0x40000 + 400);
            REQUIRE(m.engine.rip() == at + 400);
        }
    }
    CHECK(m.engine.counters().code_buffer_flushes > 3);
}

TEST_CASE("the limit stops at the first block boundary at or after it") {
    Machine m;
    m.put(0x1000, {0xff, 0xc0, 0x90, 0xeb, 0xfb});  // inc eax; nop; jmp
    m.engine.set_rip(0x1000);
    m.engine.set_limit(12);
    CHECK(m.engine.run() == RunEnd::limit);
    CHECK(m.engine.code_bytes() == 15);
    CHECK(m.engine.gpr(kRax) == 3);
    CHECK(m.engine.rip() == 0x1000);
    CHECK(m.engine.run() == RunEnd::limit);  // reached already
    CHECK(m.engine.code_bytes() == 15);
    unsigned asked = 0;
    m.processor.at_limit = [&] {
        if (++asked < 4) m.engine.set_limit(m.engine.code_bytes() + 5);
    };
    CHECK(m.engine.run() == RunEnd::limit);
    CHECK(asked == 4);
    CHECK(m.engine.code_bytes() == 30);
    m.processor.at_limit = [&] { m.engine.request_stop(); };
    CHECK(m.engine.run() == RunEnd::stop_requested);
    CHECK(m.engine.code_bytes() == 30);
}

TEST_CASE("a limit lowered in an intercept holds at once") {
    Machine m;
    m.put(0x1000, {0x0f, 0xa2, 0xff, 0xc0, 0xeb, 0xfa});  // cpuid; inc eax; jmp
    unsigned intercepts = 0;
    m.processor.handle = [&](const Intercept&) {
        m.engine.set_rip(m.engine.rip() + 2);
        if (++intercepts == 3) m.engine.set_limit(m.engine.code_bytes());
        return true;
    };
    m.engine.set_rip(0x1000);
    CHECK(m.engine.run() == RunEnd::limit);
    CHECK(intercepts == 3);
    CHECK(m.engine.rip() == 0x1002);
    CHECK(m.engine.gpr(kRax) == 2);
}

TEST_CASE("code buffers of unusable sizes are refused") {
    sim::Ram ram(kMemory);
    CHECK_THROWS_AS(EngineGroup(ram, 0), sim::ConfigError);
    CHECK_THROWS_AS(EngineGroup(ram, (2 << 20) - 1), sim::ConfigError);
    CHECK_THROWS_AS(EngineGroup(ram, std::uint64_t{1} << 31), sim::ConfigError);
}
