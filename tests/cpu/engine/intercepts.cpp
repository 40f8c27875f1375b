#include <doctest/doctest.h>

#include <string>

#include "tests/cpu/engine/machine.h"

using namespace hvsim::cpu::engine;
using namespace hvsim::cpu::engine::test;

namespace {

constexpr std::uint32_t code(InterceptCode name, unsigned number = 0) {
    return static_cast<std::uint32_t>(name) + number;
}

struct Case {
    const char* name;
    std::vector<std::uint8_t> bytes;
    std::uint32_t exit;
    std::uint32_t error_code = 0;
};

OptionalIntercepts everything() {
    OptionalIntercepts all;
    all.cr0_read = all.cr3_read = all.cr4_read = all.cr8_read = all.cr3_write = true;
    all.dr_read = all.pause = all.pushf = all.popf = all.iret = true;
    all.descriptor_reads = all.monitor_mwait = true;
    return all;
}

const std::vector<Case> kCases = {
    {"mov rax, cr0", {0x0f, 0x20, 0xc0}, code(InterceptCode::cr_read, 0)},
    {"mov rax, cr3", {0x0f, 0x20, 0xd8}, code(InterceptCode::cr_read, 3)},
    {"mov rax, cr4", {0x0f, 0x20, 0xe0}, code(InterceptCode::cr_read, 4)},
    {"mov rax, cr8", {0x44, 0x0f, 0x20, 0xc0}, code(InterceptCode::cr_read, 8)},
    {"mov cr0, rax", {0x0f, 0x22, 0xc0}, code(InterceptCode::cr_write, 0)},
    {"mov cr3, rax", {0x0f, 0x22, 0xd8}, code(InterceptCode::cr_write, 3)},
    {"mov cr4, rax", {0x0f, 0x22, 0xe0}, code(InterceptCode::cr_write, 4)},
    {"mov cr8, rax", {0x44, 0x0f, 0x22, 0xc0}, code(InterceptCode::cr_write, 8)},
    {"lmsw ax", {0x0f, 0x01, 0xf0}, code(InterceptCode::cr_write, 0)},
    {"clts", {0x0f, 0x06}, code(InterceptCode::cr_write, 0)},
    {"smsw ax", {0x0f, 0x01, 0xe0}, code(InterceptCode::cr_read, 0)},
    {"mov rax, dr0", {0x0f, 0x21, 0xc0}, code(InterceptCode::dr_read, 0)},
    {"mov rax, dr7", {0x0f, 0x21, 0xf8}, code(InterceptCode::dr_read, 7)},
    {"mov dr0, rax", {0x0f, 0x23, 0xc0}, code(InterceptCode::dr_write, 0)},
    {"mov dr7, rax", {0x0f, 0x23, 0xf8}, code(InterceptCode::dr_write, 7)},
    {"ud2", {0x0f, 0x0b}, code(InterceptCode::exception, 6)},
    {"vmcall", {0x0f, 0x01, 0xc1}, code(InterceptCode::exception, 6)},
    {"vmmcall", {0x0f, 0x01, 0xd9}, code(InterceptCode::exception, 6)},
    {"vmlaunch", {0x0f, 0x01, 0xc2}, code(InterceptCode::exception, 6)},
    {"vmrun", {0x0f, 0x01, 0xd8}, code(InterceptCode::exception, 6)},
    {"invpcid rax, [rbx]", {0x66, 0x0f, 0x38, 0x82, 0x03}, code(InterceptCode::exception, 6)},
    {"rdrand eax", {0x0f, 0xc7, 0xf0}, code(InterceptCode::exception, 6)},
    {"rdrand rax", {0x48, 0x0f, 0xc7, 0xf0}, code(InterceptCode::exception, 6)},
    {"rdseed eax", {0x0f, 0xc7, 0xf8}, code(InterceptCode::exception, 6)},
    {"vaddps ymm0, ymm0, ymm0", {0xc5, 0xfc, 0x58, 0xc0}, code(InterceptCode::exception, 6)},
    {"div ecx (by 0)", {0xf7, 0xf1}, code(InterceptCode::exception, 0)},
    {"mov fs, ax (beyond the limit)", {0x8e, 0xe0}, code(InterceptCode::exception, 13), 0x1234},
    {"sidt [rbx]", {0x0f, 0x01, 0x0b}, code(InterceptCode::idtr_read)},
    {"sgdt [rbx]", {0x0f, 0x01, 0x03}, code(InterceptCode::gdtr_read)},
    {"sldt ax", {0x0f, 0x00, 0xc0}, code(InterceptCode::ldtr_read)},
    {"str ax", {0x0f, 0x00, 0xc8}, code(InterceptCode::tr_read)},
    {"lidt [rbx]", {0x0f, 0x01, 0x1b}, code(InterceptCode::idtr_write)},
    {"lgdt [rbx]", {0x0f, 0x01, 0x13}, code(InterceptCode::gdtr_write)},
    {"lldt ax", {0x0f, 0x00, 0xd0}, code(InterceptCode::ldtr_write)},
    {"ltr ax", {0x0f, 0x00, 0xd8}, code(InterceptCode::tr_write)},
    {"rdtsc", {0x0f, 0x31}, code(InterceptCode::rdtsc)},
    {"rdtscp", {0x0f, 0x01, 0xf9}, code(InterceptCode::rdtsc)},
    {"rdpmc", {0x0f, 0x33}, code(InterceptCode::rdpmc)},
    {"pushf", {0x9c}, code(InterceptCode::pushf)},
    {"popf", {0x9d}, code(InterceptCode::popf)},
    {"cpuid", {0x0f, 0xa2}, code(InterceptCode::cpuid)},
    {"iretq", {0x48, 0xcf}, code(InterceptCode::iret)},
    {"int 0x80", {0xcd, 0x80}, code(InterceptCode::software_interrupt)},
    {"int3", {0xcc}, code(InterceptCode::software_interrupt)},
    {"invd", {0x0f, 0x08}, code(InterceptCode::wbinvd)},
    {"wbinvd", {0x0f, 0x09}, code(InterceptCode::wbinvd)},
    {"pause", {0xf3, 0x90}, code(InterceptCode::pause)},
    {"hlt", {0xf4}, code(InterceptCode::hlt)},
    {"invlpg [rbx]", {0x0f, 0x01, 0x3b}, code(InterceptCode::invlpg)},
    {"rdmsr", {0x0f, 0x32}, code(InterceptCode::msr), 0},
    {"wrmsr", {0x0f, 0x30}, code(InterceptCode::msr), 1},
    {"monitor", {0x0f, 0x01, 0xc8}, code(InterceptCode::exception, 6)},
    {"mwait", {0x0f, 0x01, 0xc9}, code(InterceptCode::exception, 6)},
    {"syscall", {0x0f, 0x05}, code(InterceptCode::syscall)},
    {"sysenter", {0x0f, 0x34}, code(InterceptCode::sysenter)},
    {"in al, 0x80", {0xe4, 0x80}, code(InterceptCode::io)},
    {"out dx, eax", {0xef}, code(InterceptCode::io)},
};

void prepare(Engine& engine) {
    engine.set_gpr(kRax, 0x1234);
    engine.set_gpr(kRbx, 0x4000);
    engine.set_gpr(kRcx, 0);
    engine.set_gpr(kRdx, 0x3f8);
    engine.set_gpr(kRsp, 0x8000);
    engine.set_gdtr({0, 7});
}

}  // namespace

TEST_CASE("every intercept comes with exact RIP, code bytes and flags, in the middle of a block") {
    Machine m;
    m.engine.set_optional_intercepts(everything());
    std::uint64_t at = 0x1000;
    for (const Case& one : kCases) {
        CAPTURE(std::string(one.name));
        prepare(m.engine);
        // cmp eax, eax sets ZF lazily; the moves leave it.
        m.put(at, {0x39, 0xc0, 0x41, 0x89, 0xd8});
        m.put(at + 5, one.bytes);
        m.put(at + 5 + one.bytes.size(), {0x90, 0x90, 0xf4});
        const std::uint64_t before = m.engine.code_bytes();
        CHECK(m.run_from(at) == RunEnd::stop_requested);
        REQUIRE(m.processor.seen.size() == 1);
        CHECK(static_cast<std::uint32_t>(m.last().code) == one.exit);
        CHECK(m.last().error_code == one.error_code);
        CHECK(m.engine.rip() == at + 5);
        CHECK(m.engine.code_bytes() - before == 5);
        CHECK((m.engine.rflags() & 0x8d5) == 0x44);
        CHECK(m.engine.gpr(kRax) == 0x1234);
        CHECK(m.engine.gpr(kRdx) == 0x3f8);
        CHECK(m.engine.gpr(kRsp) == 0x8000);
        // Restarted unchanged, it arrives again in the same way.
        CHECK(m.engine.run() == RunEnd::stop_requested);
        CHECK(m.processor.seen.size() == 2);
        CHECK(static_cast<std::uint32_t>(m.last().code) == one.exit);
        CHECK(m.engine.rip() == at + 5);
        CHECK(m.engine.code_bytes() - before == 5);
        // Skipped, the rest runs.
        m.engine.set_rip(at + 5 + one.bytes.size());
        m.engine.run();
        CHECK(m.last().code == InterceptCode::hlt);
        CHECK(m.engine.code_bytes() - before == 7);
        at += 32;
    }
}

TEST_CASE("optional intercepts are off until asked for, and switch without a flush") {
    Machine m;
    OptionalIntercepts none;
    none.cr8_read = none.dr_read = none.monitor_mwait = false;
    m.engine.set_optional_intercepts(none);
    // mov rax, cr0; mov rcx, cr3; pushf; popf; pause; sgdt [rbx]; hlt
    m.put(0x1000,
          {0x0f, 0x20, 0xc0, 0x0f, 0x20, 0xd9, 0x9c, 0x9d, 0xf3, 0x90, 0x0f, 0x01, 0x03, 0xf4});
    m.engine.set_gpr(kRbx, 0x4000);
    m.engine.set_cr(3, 0x7000);
    m.engine.set_gdtr({0x123456789a, 0x77});
    m.run_from(0x1000);
    CHECK(m.processor.seen.size() == 1);
    CHECK(m.last().code == InterceptCode::hlt);
    CHECK(m.engine.gpr(kRax) == 0x80010011);
    CHECK(m.engine.gpr(kRcx) == 0x7000);
    CHECK(m.peek<std::uint16_t>(0x4000) == 0x77);
    CHECK(m.peek<std::uint64_t>(0x4002) == 0x123456789a);

    none.pause = true;
    m.engine.set_optional_intercepts(none);
    m.run_from(0x1000);
    CHECK(m.last().code == InterceptCode::pause);
    CHECK(m.engine.rip() == 0x1008);
    none.pause = false;
    m.engine.set_optional_intercepts(none);
    m.run_from(0x1000);
    CHECK(m.last().code == InterceptCode::hlt);
}

TEST_CASE("I/O tells port, size and direction, and nothing was executed") {
    Machine m;
    struct {
        std::vector<std::uint8_t> bytes;
        std::uint16_t port;
        std::uint8_t size;
        bool in;
    } const cases[] = {
        {{0xe4, 0x71}, 0x71, 1, true},
        {{0xe5, 0x71}, 0x71, 4, true},
        {{0x66, 0xe5, 0x71}, 0x71, 2, true},
        {{0xe6, 0x70}, 0x70, 1, false},
        {{0xe7, 0x70}, 0x70, 4, false},
        {{0xec}, 0xcfc, 1, true},
        {{0xed}, 0xcfc, 4, true},
        {{0x66, 0xed}, 0xcfc, 2, true},
        {{0xee}, 0xcfc, 1, false},
        {{0xef}, 0xcfc, 4, false},
        {{0x66, 0xef}, 0xcfc, 2, false},
        {{0x6e}, 0xcfc, 1, false},
        {{0xf3, 0x6f}, 0xcfc, 4, false},
        {{0x6c}, 0xcfc, 1, true},
        {{0xf3, 0x66, 0x6d}, 0xcfc, 2, true},
    };
    std::uint64_t at = 0x1000;
    for (const auto& one : cases) {
        m.engine.set_gpr(kRdx, 0xcfc);
        m.engine.set_gpr(kRcx, 3);
        m.engine.set_gpr(kRsi, 0x4000);
        m.engine.set_gpr(kRdi, 0x5000);
        m.engine.set_gpr(kRax, 0xabcdef01);
        m.put(at, {0x90});
        m.put(at + 1, one.bytes);
        m.run_from(at);
        REQUIRE(m.last().code == InterceptCode::io);
        CHECK(m.last().io.port == one.port);
        CHECK(m.last().io.size == one.size);
        CHECK(m.last().io.in == one.in);
        CHECK(m.engine.rip() == at + 1);
        CHECK(m.engine.gpr(kRax) == 0xabcdef01);
        CHECK(m.engine.gpr(kRcx) == 3);
        CHECK(m.engine.gpr(kRsi) == 0x4000);
        CHECK(m.engine.gpr(kRdi) == 0x5000);
        at += 16;
    }
}

TEST_CASE("native MSRs are read and written by the guest without an intercept") {
    Machine m;
    const std::uint32_t native[] = {0x174,      0x175,      0x176,      0xc0000081,
                                    0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100,
                                    0xc0000101, 0xc0000102, 0xc0000103};
    m.put(0x1000,
          {0x0f, 0x30, 0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x32, 0xf4});  // wrmsr; ...; rdmsr; hlt
    for (const std::uint32_t msr : native) {
        CAPTURE(msr);
        CHECK(Engine::is_native_msr(msr));
        const std::uint64_t value = msr == 0x174        ? 0x1234
                                    : msr == 0xc0000103 ? 0x89abcdef
                                    : msr == 0xc0000084 ? 0x9abcdef0
                                                        : 0xffff8123456789ab;
        m.engine.set_gpr(kRcx, msr);
        m.engine.set_gpr(kRax, value & 0xffffffff);
        m.engine.set_gpr(kRdx, value >> 32);
        m.run_from(0x1000);
        CHECK(m.last().code == InterceptCode::hlt);
        CHECK(m.engine.native_msr(msr) == value);
        CHECK(m.engine.gpr(kRax) == (value & 0xffffffff));
        CHECK(m.engine.gpr(kRdx) == value >> 32);
        m.engine.set_native_msr(msr, 0x77);
        m.run_from(0x1006);
        CHECK(m.engine.gpr(kRax) == 0x77);
    }
    for (const std::uint32_t msr :
         {0x10U, 0x1bU, 0xc0000080U, 0x40000000U, 0xffffffffU, 0xc0010114U}) {
        CHECK_FALSE(Engine::is_native_msr(msr));
        m.engine.set_gpr(kRcx, msr);
        m.run_from(0x1006);
        CHECK(m.last().code == InterceptCode::msr);
        CHECK(m.engine.rip() == 0x1006);
    }
}

TEST_CASE("at CPL 3 privileged instructions give #GP, the others their intercept") {
    Machine m;
    enter_long_mode(m.engine, 3);
    struct {
        std::vector<std::uint8_t> bytes;
        std::uint32_t exit;
    } const cases[] = {
        {{0xf4}, code(InterceptCode::exception, 13)},
        {{0x0f, 0x32}, code(InterceptCode::exception, 13)},
        {{0x0f, 0x22, 0xd8}, code(InterceptCode::exception, 13)},
        {{0x0f, 0x01, 0x3b}, code(InterceptCode::exception, 13)},
        {{0x0f, 0xa2}, code(InterceptCode::cpuid)},
        {{0x0f, 0x05}, code(InterceptCode::syscall)},
        {{0xcd, 0x80}, code(InterceptCode::software_interrupt)},
        {{0x0f, 0x01, 0xc1}, code(InterceptCode::exception, 6)},
        {{0xee}, code(InterceptCode::io)},  // IOPL and the bitmap are the client's
    };
    std::uint64_t at = 0x1000;
    for (const auto& one : cases) {
        m.put(at, one.bytes);
        m.run_from(at);
        CHECK(static_cast<std::uint32_t>(m.last().code) == one.exit);
        CHECK(m.engine.rip() == at);
        CHECK(m.engine.cpl() == 3);
        at += 16;
    }
}

TEST_CASE("an exception of the client leaves run() and the engine goes on afterwards") {
    Machine m;
    m.put(0x1000, {0x0f, 0xa2, 0xf4});
    m.processor.handle = [](const Intercept& i) -> bool {
        if (i.code == InterceptCode::cpuid) throw std::runtime_error("from the client");
        return false;
    };
    CHECK_THROWS_WITH_AS(m.run_from(0x1000), "from the client", std::runtime_error);
    CHECK(m.engine.rip() == 0x1000);
    m.engine.set_rip(0x1002);
    CHECK(m.engine.run() == RunEnd::stop_requested);
    CHECK(m.last().code == InterceptCode::hlt);
}

TEST_CASE("a nested engine runs inside the first one's intercept") {
    Machine m;
    Processor inner(m.group);
    enter_long_mode(inner.engine);
    m.put(0x1000, {0x48, 0xff, 0xc0, 0x0f, 0xa2, 0xeb, 0xf9});  // inc rax; cpuid; jmp
    m.put(0x2000, {0x48, 0xff, 0xc3, 0x0f, 0x05});              // inc rbx; syscall
    m.processor.handle = [&](const Intercept&) {
        inner.engine.set_rip(0x2000);
        CHECK(inner.engine.run() == RunEnd::stop_requested);
        m.engine.set_rip(0x1005);
        return m.processor.seen.size() < 100;
    };
    m.engine.set_gpr(kRax, 0);
    m.run_from(0x1000);
    CHECK(m.engine.gpr(kRax) == 100);
    CHECK(inner.engine.gpr(kRbx) == 100);
    CHECK(inner.seen.size() == 100);
    CHECK(inner.engine.code_bytes() == 300);
}

TEST_CASE("WRMSR of a native MSR comes to the client where it must fault") {
    Machine m;
    m.put(0x1000, {0x90, 0x0f, 0x30, 0xf4});
    struct {
        std::uint32_t msr;
        std::uint64_t value;
    } const kRefused[] = {{0xc0000100, 0xaaaaaaaaaaaaaaaa}, {0xc0000101, 0x0000800000000000},
                          {0xc0000102, 0xffff7fffffffffff}, {0xc0000082, 1ULL << 63},
                          {0xc0000084, 1ULL << 32},         {0xc0000103, 1ULL << 32}};
    for (const auto& row : kRefused) {
        CAPTURE(row.msr);
        m.engine.set_native_msr(row.msr, 0x77);
        m.engine.set_gpr(kRcx, row.msr);
        m.engine.set_gpr(kRax, row.value & 0xffffffff);
        m.engine.set_gpr(kRdx, row.value >> 32);
        m.run_from(0x1000);
        CHECK(m.last().code == InterceptCode::msr);
        CHECK(m.last().error_code == 1);
        CHECK(m.engine.rip() == 0x1001);
        CHECK(m.engine.native_msr(row.msr) == 0x77);
    }
}
