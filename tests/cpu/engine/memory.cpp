// Page faults, the counting of code bytes across them, and code that changes.
#include <doctest/doctest.h>

#include <set>

#include "tests/cpu/engine/machine.h"

using namespace hvsim::cpu::engine;
using namespace hvsim::cpu::engine::test;

namespace {

/// Refuses the pages in `refused`.
void refuse_pages(Machine& m, std::set<std::uint64_t>& refused) {
    m.processor.on_translate = [&refused](std::uint64_t linear, Access, bool, Translation& out) {
        out = {linear & 0xfffff, true, true};
        return !refused.contains(linear >> 12);
    };
}

}  // namespace

TEST_CASE(
    "page faults tell the full address, the access and the privilege, at every instruction kind") {
    struct {
        const char* name;
        std::vector<std::uint8_t> bytes;
        std::uint64_t linear;
        Access access;
    } const cases[] = {
        {"mov rax, [rbx]", {0x48, 0x8b, 0x03}, 0x9123, Access::read},
        {"mov [rbx], rax", {0x48, 0x89, 0x03}, 0x9123, Access::write},
        {"mov byte [rbx], 1", {0xc6, 0x03, 0x01}, 0x9123, Access::write},
        {"add [rbx], rax", {0x48, 0x01, 0x03}, 0x9123, Access::read},
        {"lock add [rbx], rax", {0xf0, 0x48, 0x01, 0x03}, 0x9123, Access::read},
        {"push rax", {0x50}, 0x9ff8, Access::write},
        {"pop rax", {0x58}, 0xa000, Access::read},
        {"call +0", {0xe8, 0, 0, 0, 0}, 0x9ff8, Access::write},
        {"ret", {0xc3}, 0xa000, Access::read},
        {"movsb", {0xa4}, 0x9300, Access::read},
        {"stosq", {0x48, 0xab}, 0x9400, Access::write},
        {"movaps xmm0, [rsi]", {0x0f, 0x28, 0x06}, 0x9300, Access::read},
        {"fld qword [rbx]", {0xdd, 0x03}, 0x9123, Access::read},
        {"jmp [rbx]", {0xff, 0x23}, 0x9123, Access::read},
        {"fxsave [rsi]", {0x0f, 0xae, 0x06}, 0x9300, Access::write},
        {"cmpxchg16b [rsi]", {0x48, 0x0f, 0xc7, 0x0e}, 0x9300, Access::read},
        {"mov rax, [rbx+0xfd9]", {0x48, 0x8b, 0x83, 0xd9, 0x0e, 0, 0}, 0xa000, Access::read},
    };
    for (const unsigned cpl : {0U, 3U}) {
        Machine m;
        std::set<std::uint64_t> refused;
        refuse_pages(m, refused);
        enter_long_mode(m.engine, cpl);
        std::uint64_t at = 0x1000;
        for (const auto& one : cases) {
            CAPTURE(std::string(one.name));
            m.engine.set_gpr(kRbx, 0x9123);
            m.engine.set_gpr(kRsi, 0x9300);
            m.engine.set_gpr(kRdi, 0x9400);
            m.engine.set_gpr(kRsp, 0xa000);
            m.engine.set_gpr(kRax, 0x55);
            refused = {9, 10};
            if (one.linear == 0xa000) refused = {10};
            m.engine.flush_tlb();
            m.put(at, {0x90, 0x39, 0xc0});
            m.put(at + 3, one.bytes);
            m.put(at + 3 + one.bytes.size(), {0x0f, 0x05});
            const std::uint64_t before = m.engine.code_bytes();
            m.run_from(at);
            REQUIRE(m.last().code == InterceptCode::page_fault);
            CHECK(m.last().fault.exact);
            CHECK(m.last().fault.linear == one.linear);
            CHECK(m.last().fault.access == one.access);
            CHECK(m.last().fault.user == (cpl == 3));
            CHECK(m.engine.rip() == at + 3);
            CHECK(m.engine.code_bytes() - before == 3);
            CHECK(m.engine.gpr(kRsp) == 0xa000);
            CHECK(m.engine.gpr(kRax) == 0x55);
            CHECK((m.engine.rflags() & 0x8d5) == 0x44);
            at += 64;
        }
    }
}

TEST_CASE("a refused page that is granted on the intercept lets the instruction run once") {
    Machine m;
    std::set<std::uint64_t> refused = {9};
    refuse_pages(m, refused);
    m.processor.handle = [&](const Intercept& i) {
        if (i.code != InterceptCode::page_fault) return false;
        refused.clear();
        return true;
    };
    m.ram.write<std::uint64_t>(0x9000, 41);
    m.put(0x1000, {0x48, 0xff, 0x03, 0xf4});  // inc qword [rbx]; hlt
    m.engine.set_gpr(kRbx, 0x9000);
    m.run_from(0x1000);
    CHECK(m.processor.seen.size() == 2);
    CHECK(m.peek<std::uint64_t>(0x9000) == 42);
    CHECK(m.engine.code_bytes() == 3);
}

TEST_CASE("accesses to descriptor tables from CPL 3 come as supervisor accesses") {
    Machine m;
    enter_long_mode(m.engine, 3);
    m.engine.set_gdtr({0x9000, 0xff});
    std::vector<bool> users;
    m.processor.on_translate = [&](std::uint64_t linear, Access, bool user, Translation& out) {
        if (linear >> 12 == 9) users.push_back(user);
        out = {linear, true, true};
        return true;
    };
    m.ram.write<std::uint64_t>(0x9018, 0x00cff3000000ffff);
    m.put(0x1000, {0x8e, 0xe0, 0x8b, 0x03, 0x0f, 0x05});  // mov fs, ax; mov eax, [rbx]; syscall
    m.engine.set_gpr(kRax, 0x1b);
    m.engine.set_gpr(kRbx, 0x9010);
    m.run_from(0x1000);
    CHECK(m.last().code == InterceptCode::syscall);
    CHECK(m.engine.segment(SegmentName::fs).selector == 0x1b);
    REQUIRE(users.size() >= 2);
    CHECK_FALSE(users.front());
    CHECK(users.back());
}

TEST_CASE(
    "a fetch faults where it happens: after a jump, and on the second page of an instruction") {
    Machine m;
    std::set<std::uint64_t> refused = {9};
    refuse_pages(m, refused);
    SUBCASE("after a jump the jump has run") {
        m.put(0x1000, {0x90, 0xff, 0xe3});
        m.engine.set_gpr(kRbx, 0x9456);
        m.run_from(0x1000);
        CHECK(m.last().fault.access == Access::execute);
        CHECK(m.last().fault.linear == 0x9456);
        CHECK(m.engine.rip() == 0x9456);
        CHECK(m.engine.code_bytes() == 3);
    }
    SUBCASE("the instructions before one that reaches over have run, and it has not") {
        // inc rax; inc rcx; mov edx, 0x12345678 over the page's end; hlt
        m.put(0x8ff7, {0x48, 0xff, 0xc0, 0x48, 0xff, 0xc1, 0xba, 0x78, 0x56, 0x34, 0x12, 0xf4});
        m.engine.set_gpr(kRdx, 7);
        m.run_from(0x8ff7);
        CHECK(m.last().code == InterceptCode::page_fault);
        CHECK(m.last().fault.linear == 0x9000);
        CHECK(m.last().fault.access == Access::execute);
        CHECK(m.engine.rip() == 0x8ffd);
        CHECK(m.engine.gpr(kRax) == 1);
        CHECK(m.engine.gpr(kRcx) == 1);
        CHECK(m.engine.gpr(kRdx) == 7);
        CHECK(m.engine.code_bytes() == 6);
        // Granted, it goes on from there.
        refused.clear();
        m.engine.run();
        CHECK(m.last().code == InterceptCode::hlt);
        CHECK(m.engine.gpr(kRax) == 1);
        CHECK(m.engine.gpr(kRdx) == 0x12345678);
        CHECK(m.engine.code_bytes() == 11);
    }
    SUBCASE("code that ends before the page does not need the next one") {
        m.put(0x8ffe, {0xeb, 0xf0});  // jmp 0x8ff0
        m.put(0x8ff0, {0xf4});
        m.run_from(0x8ffe);
        CHECK(m.last().code == InterceptCode::hlt);
    }
}

TEST_CASE("non-canonical addresses reach the client") {
    Machine m;
    m.processor.on_translate = [](std::uint64_t linear, Access, bool, Translation& out) {
        out = {linear, true, true};
        return linear < kMemory;
    };
    m.put(0x1000, {0x48, 0x8b, 0x03});
    m.engine.set_gpr(kRbx, 0x8000000000001234);
    m.run_from(0x1000);
    CHECK(m.last().fault.linear == 0x8000000000001234);
}

TEST_CASE("a translation outside of memory is refused") {
    Machine m;
    m.processor.on_translate = [](std::uint64_t linear, Access, bool, Translation& out) {
        out = {linear < 0x8000 ? linear : ~std::uint64_t{0xfff}, true, true};
        return true;
    };
    m.put(0x1000, {0x48, 0x8b, 0x03});
    m.engine.set_gpr(kRbx, 0x9000);
    m.run_from(0x1000);
    CHECK(m.last().code == InterceptCode::page_fault);
}

TEST_CASE("stores go through without a question only where the client said so") {
    Machine m;
    std::vector<Access> asked;
    m.processor.on_translate = [&](std::uint64_t linear, Access access, bool, Translation& out) {
        if (linear >> 12 == 9) asked.push_back(access);
        out = {linear, linear >> 12 != 9 || access == Access::write, true};
        return true;
    };
    m.put(0x1000, {0x8b, 0x03, 0x8b, 0x03, 0x89, 0x03, 0x89, 0x03, 0xf4});
    m.engine.set_gpr(kRbx, 0x9000);
    m.run_from(0x1000);
    CHECK(asked == std::vector<Access>{Access::read, Access::write});
}

TEST_CASE("flushing one page asks again for it alone") {
    Machine m;
    m.put(0x1000, {0x8b, 0x03, 0x8b, 0x06, 0xf4});
    m.engine.set_gpr(kRbx, 0x9000);
    m.engine.set_gpr(kRsi, 0xa000);
    m.run_from(0x1000);
    const std::uint64_t first = m.processor.fills;
    m.run_from(0x1000);
    CHECK(m.processor.fills == first);
    m.engine.flush_tlb_page(0x9abc);
    m.run_from(0x1000);
    CHECK(m.processor.fills == first + 1);
    m.engine.flush_tlb();
    m.run_from(0x1000);
    CHECK(m.processor.fills == 2 * first + 1);
}

TEST_CASE("between flushes the client is asked once a page, however many there are") {
    Machine m;
    // loop: mov [rbx], al; add rbx, 0x1000; dec ecx; jnz loop; hlt
    m.put(0x1000, {0x88, 0x03, 0x48, 0x81, 0xc3, 0, 0x10, 0, 0, 0xff, 0xc9, 0x75, 0xf3, 0xf4});
    const auto touch = [&m](std::uint64_t pages) {
        m.engine.set_gpr(kRbx, 0x100000000);
        m.engine.set_gpr(kRcx, pages);
        // Not where code lies: stores there would drop it.
        m.processor.on_translate = [](std::uint64_t linear, Access, bool, Translation& out) {
            out = {linear < kMemory ? linear : 0x10000 + linear % 0x80000, true, true};
            return true;
        };
        m.run_from(0x1000);
        REQUIRE(m.last().code == InterceptCode::hlt);
    };
    touch(20'000);
    CHECK(m.processor.fills == 20'001);
    touch(20'000);
    CHECK(m.processor.fills == 20'001);
    m.engine.flush_tlb();
    touch(20'000);
    CHECK(m.processor.fills == 40'002);
    // Endless pages: what is known stays bounded.
    const std::uint64_t flushes = m.engine.counters().tlb_flushes;
    touch(600'000);
    CHECK(m.engine.counters().tlb_flushes == flushes + 1);
}

TEST_CASE("a native CR3 write forgets what the client said") {
    Machine m;
    m.put(0x1000, {0x8b, 0x03, 0x0f, 0x22, 0xd8, 0x8b, 0x0b, 0xf4});  // load; mov cr3, rax; load
    m.ram.write<std::uint32_t>(0x9000, 0x11);
    m.ram.write<std::uint32_t>(0xa000, 0x22);
    m.processor.on_translate = [&](std::uint64_t linear, Access, bool, Translation& out) {
        out = {linear, true, true};
        if (linear == 0x9000 && m.engine.cr(3) == 0x11) out.physical = 0xa000;
        return true;
    };
    m.engine.set_gpr(kRbx, 0x9000);
    m.run_from(0x1000);
    CHECK(m.last().code == InterceptCode::hlt);
    CHECK(m.engine.gpr(kRax) == 0x11);
    CHECK(m.engine.gpr(kRcx) == 0x22);
}

TEST_CASE("A20 off folds the second mebibyte onto the first") {
    Machine m;
    m.processor.on_translate = [](std::uint64_t linear, Access, bool, Translation& out) {
        out = {linear, true, true};
        return linear < 2 * kMemory;
    };
    m.put(0x1000, {0x8b, 0x03, 0xf4});
    m.ram.write<std::uint32_t>(0x3000, 0xcafe);
    m.engine.set_gpr(kRbx, 0x103000);
    m.engine.set_a20(false);
    m.run_from(0x1000);
    CHECK(m.engine.gpr(kRax) == 0xcafe);
    m.engine.set_a20(true);
    m.run_from(0x1000);
    CHECK(m.last().code == InterceptCode::page_fault);
}

namespace {

/// A second view of memory from 0x100000 on; code at 0x3000 returns a number.
void map_alias(Processor& p) {
    p.on_translate = [](std::uint64_t linear, Access, bool, Translation& out) {
        out = {linear % kMemory, true, true};
        return linear < 2 * kMemory;
    };
}

constexpr std::uint64_t kRoutine = 0x3000;

void put_routine(Machine& m) {
    m.put(kRoutine, {0xb8, 1, 0, 0, 0, 0xc3});  // mov eax, 1; ret
    // call rsi; hlt
    m.put(0x1000, {0xff, 0xd6, 0xf4});
    m.engine.set_gpr(kRsi, kRoutine);
}

}  // namespace

TEST_CASE("code that a store changes through another address runs as changed") {
    Machine m;
    map_alias(m.processor);
    put_routine(m);
    // loop: call rsi; add r8, rax; inc byte [rbx]; dec rcx; jnz loop; hlt
    m.put(0x2000, {0xff, 0xd6, 0x49, 0x01, 0xc0, 0xfe, 0x03, 0x48, 0xff, 0xc9, 0x75, 0xf4, 0xf4});
    m.engine.set_gpr(kRbx, kMemory + kRoutine + 1);
    m.engine.set_gpr(kRcx, 20);
    m.run_from(0x2000);
    CHECK(m.engine.gpr(kR8) == 210);  // 1 + 2 + ... + 20
    CHECK(m.engine.counters().code_invalidations >= 19);
}

TEST_CASE("code on a page that is written through its own address runs as changed") {
    Machine m;
    put_routine(m);
    m.put(0x2000, {0xff, 0xd6, 0x49, 0x01, 0xc0, 0xfe, 0x03, 0x48, 0xff, 0xc9, 0x75, 0xf4, 0xf4});
    m.engine.set_gpr(kRbx, kRoutine + 1);
    m.engine.set_gpr(kRcx, 20);
    m.run_from(0x2000);
    CHECK(m.engine.gpr(kR8) == 210);
}

TEST_CASE("a page once written and then executed is protected at every address") {
    Machine m;
    map_alias(m.processor);
    // The alias is in the TLB as writable before code is translated from the page.
    m.put(0x2000, {0xc6, 0x03, 0x01, 0xff, 0xd6, 0x89, 0xc7, 0xc6, 0x03, 0x02, 0xff, 0xd6, 0xf4});
    put_routine(m);
    m.engine.set_gpr(kRbx, kMemory + kRoutine + 1);
    m.run_from(0x2000);
    CHECK(m.engine.gpr(kRdi) == 1);
    CHECK(m.engine.gpr(kRax) == 2);
}

TEST_CASE("one engine's store changes code that another one translated, both ways") {
    Machine m;
    Processor other(m.group);
    enter_long_mode(other.engine);
    other.engine.set_gpr(kRsp, 0x7000);
    other.engine.set_gpr(kRsi, kRoutine);
    put_routine(m);
    m.put(0x2000, {0x88, 0x0b, 0xf4});  // mov [rbx], cl; hlt
    const auto call = [](Engine& engine) {
        engine.set_rip(0x1000);
        engine.run();
        return engine.gpr(kRax);
    };
    const auto store = [](Engine& engine, std::uint8_t value) {
        engine.set_gpr(kRbx, kRoutine + 1);
        engine.set_gpr(kRcx, value);
        engine.set_rip(0x2000);
        engine.run();
    };
    for (std::uint8_t round = 2; round < 40; round = static_cast<std::uint8_t>(round + 2)) {
        store(other.engine, round);
        CHECK(call(m.engine) == round);
        CHECK(call(other.engine) == round);
        store(m.engine, static_cast<std::uint8_t>(round + 1));
        CHECK(call(other.engine) == round + 1U);
        CHECK(call(m.engine) == round + 1U);
    }
}

TEST_CASE("a model's write changes translated code, also within an intercept of its own run") {
    Machine m;
    put_routine(m);
    m.run_from(0x1000);
    CHECK(m.engine.gpr(kRax) == 1);
    CHECK(m.ram.is_code_page(kRoutine >> 12));
    m.ram.write<std::uint8_t>(kRoutine + 1, 9);
    m.run_from(0x1000);
    CHECK(m.engine.gpr(kRax) == 9);
    // call rsi; cpuid; call rsi; hlt
    m.put(0x2000, {0xff, 0xd6, 0x0f, 0xa2, 0xff, 0xd6, 0xf4});
    m.processor.handle = [&](const Intercept& i) {
        if (i.code != InterceptCode::cpuid) return false;
        m.ram.write<std::uint8_t>(kRoutine + 1, 77);
        m.engine.set_rip(m.engine.rip() + 2);
        return true;
    };
    m.run_from(0x2000);
    CHECK(m.engine.gpr(kRax) == 77);
}

TEST_CASE("an engine that goes away is no longer told of writes") {
    Machine m;
    put_routine(m);
    {
        Processor other(m.group);
        enter_long_mode(other.engine);
        other.engine.set_gpr(kRsp, 0x7000);
        other.engine.set_gpr(kRsi, kRoutine);
        other.engine.set_rip(0x1000);
        other.engine.run();
        CHECK(other.engine.gpr(kRax) == 1);
    }
    m.ram.write<std::uint8_t>(kRoutine + 1, 4);
    m.run_from(0x1000);
    CHECK(m.engine.gpr(kRax) == 4);
}
