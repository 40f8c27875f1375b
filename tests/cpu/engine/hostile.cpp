// Guests that drive the library where it would crash or abort the process.
#include <doctest/doctest.h>

#include <random>

#include "tests/cpu/engine/machine.h"

using namespace hvsim::cpu::engine;
using namespace hvsim::cpu::engine::test;

TEST_CASE("an instruction that the library can't translate is an invalid opcode where it stands") {
    Machine m;
    // inc rax; lock btr ebx, 0x6e (invalid: a register operand)
    m.put(0x1000, {0x48, 0xff, 0xc0, 0xf0, 0x0f, 0xba, 0xf3, 0x6e, 0xf4});
    m.run_from(0x1000);
    CHECK(static_cast<unsigned>(m.last().code) == 0x46);
    CHECK(m.engine.rip() == 0x1003);
    CHECK(m.engine.gpr(kRax) == 1);
    CHECK(m.engine.code_bytes() == 3);
    m.engine.set_rip(0x1008);
    m.engine.run();
    CHECK(m.last().code == InterceptCode::hlt);
}

TEST_CASE("long runs of instructions that need much of the translator don't overrun it") {
    Machine m;
    const std::vector<std::vector<std::uint8_t>> instructions = {
        {0xdf, 0xdf}, {0xd9, 0xfb}, {0xa4}, {0xf0, 0x48, 0x0f, 0xc7, 0x0e}, {0x0f, 0xae, 0x06}};
    for (const auto& one : instructions) {
        std::uint64_t at = 0x10000;
        while (at + one.size() < 0x11800) {
            m.put(at, one);
            at += one.size();
        }
        m.put(at, {0xf4});
        m.engine.set_gpr(kRsi, 0x40000);
        m.engine.set_gpr(kRdi, 0x60000);
        m.run_from(0x10000);
        CHECK(m.last().code == InterceptCode::hlt);
        CHECK(m.engine.rip() == at);
    }
}

TEST_CASE("a block ends after 64 instructions, or after 32 that access memory often") {
    struct Case {
        std::vector<std::uint8_t> instruction;
        std::uint64_t bytes_of_first_block;
    };
    // nop; mov rax,[rsi]; push qword [rsi] (two accesses)
    const std::vector<Case> cases = {
        {{0x90}, 64}, {{0x48, 0x8b, 0x06}, 64 * 3}, {{0xff, 0x36}, 32 * 2}};
    for (const auto& one : cases) {
        Machine m;
        for (std::uint64_t i = 0; i < 200; ++i)
            m.put(0x10000 + i * one.instruction.size(), one.instruction);
        m.engine.set_gpr(kRsi, 0x40000);
        m.engine.set_limit(1);
        m.processor.at_limit = [&m] { m.engine.request_stop(); };
        m.run_from(0x10000);
        CHECK(m.engine.code_bytes() == one.bytes_of_first_block);
        CHECK(m.engine.rip() == 0x10000 + one.bytes_of_first_block);
    }
}

TEST_CASE("random bytes in every mode are survived, and two runs of them are the same") {
    const auto run = [](unsigned seed) {
        Machine m;
        std::mt19937_64 random(seed);
        for (std::uint64_t at = 0; at < 0x10000; at += 8) m.ram.write<std::uint64_t>(at, random());
        Engine& e = m.engine;
        const unsigned mode = seed % 4;
        if (mode >= 2) {
            const bool real = mode == 3;
            e.set_efer(0);
            e.set_cr(0, real ? 0x10 : 0x11);
            e.set_segment(SegmentName::cs, real ? Segment{0, 0xffff, 0, 0x9b} : kCode32);
            for (const SegmentName name : {SegmentName::es, SegmentName::ss, SegmentName::ds})
                e.set_segment(name, real ? Segment{0, 0xffff, 0, 0x93} : kData);
        } else {
            enter_long_mode(e, mode * 3);
        }
        e.set_gdtr({0x8000, 0xfff});
        e.set_segment(SegmentName::tr, {0x40, 0x67, 0xa000, 0x8b});
        for (unsigned i = 0; i < kGprCount; ++i) e.set_gpr(i, random() % 0x10000);
        m.processor.on_translate = [](std::uint64_t linear, Access, bool, Translation& out) {
            out = {linear & 0xffff, true, true};
            return (linear >> 12 & 15) != 13;
        };
        std::uint64_t hash = 0;
        const auto mix = [&hash](std::uint64_t value) {
            hash = (hash ^ value) * 0x9e3779b97f4a7c15;
            hash ^= hash >> 29;
        };
        unsigned left = 300;
        m.processor.handle = [&](const Intercept& i) {
            mix(static_cast<std::uint64_t>(i.code));
            mix(i.error_code);
            mix(e.rip());
            mix(e.rflags());
            mix(e.code_bytes());
            for (unsigned n = 0; n < kGprCount; ++n) mix(e.gpr(n));
            e.set_rip(random() % 0xd000);
            return --left != 0;
        };
        e.set_limit(300'000);
        m.run_from(random() % 0xd000);
        return hash;
    };
    for (unsigned seed = 1; seed <= 24; ++seed) {
        CAPTURE(seed);
        CHECK(run(seed) == run(seed));
    }
}
