// Nothing of the host reaches a result: x87 functions, the library's clock, where code lies.
#include <doctest/doctest.h>
#include <sys/time.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

#include "tests/cpu/engine/machine.h"

using namespace hvsim::cpu::engine;
using namespace hvsim::cpu::engine::test;

// Runs the x87 transcendental instructions over RCX values of ST0, hashing each result's bits into
// RAX.
GUEST_CODE(x87_functions, R"(
    finit
    push 0
    push 0
    fld qword ptr [rbx]         /* step */
    fld qword ptr [rbx + 8]     /* x */
x87_next:
    .macro hash
    fstp qword ptr [rsp]
    xor rax, [rsp]
    imul rax, rsi
    rol rax, 7
    .endm
    fld st(0)
    fsin
    hash
    fld st(0)
    fcos
    hash
    fld st(0)
    fsincos
    hash
    hash
    fld st(0)
    fptan
    hash
    hash
    fld st(0)
    fld1
    fpatan
    hash
    fld1
    fld st(1)
    fabs
    fyl2x
    hash
    fld st(0)
    fsin
    f2xm1
    hash
    fld1
    fld st(1)
    fsin
    fabs
    fld1
    fxch st(1)
    fyl2xp1
    hash
    fstp st(0)
    fadd st(0), st(1)
    dec rcx
    jnz x87_next
    hlt
)");

namespace {

std::uint64_t x87_hash() {
    Machine m;
    m.ram.write(0x4000, 0.001234567);
    m.ram.write(0x4008, -7.25);
    m.put(0x1000, CODE_OF(x87_functions));
    m.engine.set_gpr(kRbx, 0x4000);
    m.engine.set_gpr(kRcx, 20000);
    m.engine.set_gpr(kRsi, 0x9e3779b97f4a7c15);
    m.run_from(0x1000);
    REQUIRE(m.last().code == InterceptCode::hlt);
    return m.engine.gpr(kRax);
}

std::string run_self(const std::string& environment, const std::string& test) {
    std::array<char, 4096> path{};
    REQUIRE(realpath("/proc/self/exe", path.data()) != nullptr);
    const std::string command =
        environment + " '" + path.data() + "' --no-skip --test-case='" + test + "' --minimal";
    FILE* pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string output;
    std::array<char, 256> chunk{};
    while (fgets(chunk.data(), chunk.size(), pipe) != nullptr) output += chunk.data();
    CHECK(pclose(pipe) == 0);
    return output;
}

}  // namespace

TEST_CASE("print the x87 hash" * doctest::skip()) {
    std::printf("%016llx\n", static_cast<unsigned long long>(x87_hash()));
}

TEST_CASE("x87 results don't depend on the host's FMA") {
    const std::string with = run_self("", "print the x87 hash");
    const std::string without =
        run_self("GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4", "print the x87 hash");
    CHECK(with.size() >= 17);
    CHECK(with == without);
}

TEST_CASE("FSIN and its kin are correctly rounded doubles") {
    Machine m;
    // fld qword [rbx]; <op>; fstp qword [rbx+8]; hlt
    const auto compute = [&m](double x, std::initializer_list<std::uint8_t> operation) {
        m.ram.write(0x4000, x);
        m.put(0x1000, {0xdb, 0xe3, 0xdd, 0x03});
        m.put(0x1004, operation);
        m.put(0x1004 + operation.size(), {0xdd, 0x5b, 0x08, 0xf4});
        m.engine.set_gpr(kRbx, 0x4000);
        m.run_from(0x1000);
        return m.peek<double>(0x4008);
    };
    // Values from tables to more digits than a double has.
    CHECK(compute(0.5, {0xd9, 0xfe}) == 0.47942553860420300027);
    CHECK(compute(1.0, {0xd9, 0xff}) == 0.54030230586813971740);
    CHECK(compute(3.0, {0xd9, 0xfe}) == 0.14112000805986722210);
    CHECK(compute(0.5, {0xd9, 0xf0}) == std::sqrt(2.0) - 1.0);  // F2XM1
    CHECK(std::isnan(compute(std::numeric_limits<double>::quiet_NaN(), {0xd9, 0xfe})));
}

TEST_CASE("outside of an engine the program's own clock and mathematics are the host's values") {
    timeval now{};
    REQUIRE(gettimeofday(&now, nullptr) == 0);
    CHECK(now.tv_sec > 1'600'000'000);
    volatile double x = 0.5;
    CHECK(std::sin(x) == 0.47942553860420300027);
    CHECK(std::pow(x, 2.0) == 0.25);
    CHECK(std::pow(std::numeric_limits<double>::quiet_NaN(), 0.0 * x) == 1.0);
    CHECK(std::log(2 * x) == 0.0);
    CHECK(std::signbit(std::atan2(-0.0 * x, 1.0)));
    CHECK(std::isinf(std::log(0.0 * x)));
}

TEST_CASE("code buffers lie within reach of the program") {
    Machine m;
    std::ifstream maps("/proc/self/maps");
    const auto here = reinterpret_cast<std::uintptr_t>(&run_self);
    unsigned near = 0;
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t start = 0;
        std::uintptr_t end = 0;
        std::array<char, 5> permissions{};
        if (std::sscanf(line.c_str(), "%lx-%lx %4s", &start, &end, permissions.data()) != 3)
            continue;
        if (std::string(permissions.data()) != "rwxp") continue;
        const std::uintptr_t far = std::max(here > start ? here - start : start - here,
                                            here > end ? here - end : end - here);
        CHECK(far < std::uintptr_t{1} << 31);
        ++near;
    }
    CHECK(near >= 1);
}

TEST_CASE("two runs fill the TLB equally often") {
    const auto run = [] {
        Machine m;
        // Touches 200 pages round and round: mov [rbx], al; add rbx, 4096; and rbx, 0xfffff; dec;
        // jnz
        m.put(0x1000, {0x88, 0x83, 0,    0,    1,    0,    0x48, 0x81, 0xc3, 0,    0x10, 0,
                       0,    0x81, 0xe3, 0xff, 0xff, 0x0f, 0,    0xff, 0xc9, 0x75, 0xe9, 0xf4});
        m.processor.on_translate = [](std::uint64_t linear, Access, bool, Translation& out) {
            out = {linear < 0x100000 ? linear : 0x10000 + linear % 0xe0000, true, true};
            return true;
        };
        unsigned flushes = 0;
        m.processor.at_limit = [&] {
            m.engine.flush_tlb();
            if (++flushes < 300) m.engine.set_limit(m.engine.code_bytes() + 50'000);
        };
        m.engine.set_limit(50'000);
        m.engine.set_gpr(kRcx, 0x7fffffff);
        m.run_from(0x1000);
        return std::pair(m.engine.counters().tlb_fills, m.engine.code_bytes());
    };
    const auto first = run();
    CHECK(first.first > 10'000);
    CHECK(first == run());
}
