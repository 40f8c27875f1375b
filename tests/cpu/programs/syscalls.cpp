// The fast system calls (SDM 2B SYSCALL, SYSENTER, SYSEXIT, SYSRET; APM 3).
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

namespace {

constexpr std::uint64_t kDirection = 1 << 10;

void check_syscall(Machine& m) {
    CHECK(m.result(0) == m.program["after_syscall"]);
    constexpr std::uint64_t kSet = kDirection | rflags::kIF | rflags::kCF;
    CHECK((m.result(1) & kSet) == kSet);
    CHECK((m.result(2) & (kDirection | rflags::kIF)) == 0);  // FMASK's
    CHECK(m.result(3) == CODE64);
    CHECK(m.result(4) == CODE64 + 8);
    CHECK(m.result(5) == USER_STACK);
    CHECK((m.result(6) & kSet) == (kDirection | rflags::kIF));  // R11, changed
    CHECK(m.result(7) == (USER_CODE64 | 3));
    CHECK(m.result(8) == (USER_DATA | 3));
    CHECK(m.result(9) == USER_STACK);
    CHECK(m.result(10) == (USER_CODE32 | 3));
    CHECK(m.result(11) == (USER_DATA | 3));
}

}  // namespace

TEST_CASE("fast system calls as on Intel") {
    Machine m("syscalls");
    CHECK(m.run() == End::halted);
    check_syscall(m);
    CHECK(m.result(12) == 0);
    CHECK((m.result(13) & rflags::kIF) == 0);
    CHECK((m.result(13) & kDirection) != 0);  // SYSENTER clears IF and VM only
    CHECK(m.result(14) == CODE64);
    CHECK(m.result(15) == CODE64 + 8);
    CHECK(m.result(16) == KERNEL_STACK - 0x100);
    CHECK(m.result(17) == (CODE64 + 16 + 3));
    CHECK(m.result(18) == (CODE64 + 24 + 3));
    CHECK(m.result(19) == USER_STACK - 0x20);
    CHECK(m.result(20) == (CODE64 + 32 + 3));
    CHECK(m.result(21) == (CODE64 + 32 + 3));
    CHECK(m.result(22) == USER_STACK - 8);
    check_faults(m, {{"compatibility_syscall", kUD},
                     {"user_sysret", kGP},
                     {"user_sysexit", kGP},
                     {"sysret_nowhere", kGP},
                     {"sysexit_stack_nowhere", kGP},
                     {"sysexit_nowhere", kGP},
                     {"sysenter_null", kGP},
                     {"sysexit_null", kGP},
                     {"syscall_disabled", kUD},
                     {"sysret_disabled", kUD}});
}

TEST_CASE("fast system calls as on AMD: SYSCALL from compatibility mode, no SYSENTER") {
    Machine m("syscalls", {.model = "amd-milan"});
    m.core().set_gpr(engine::kRdi, 1);
    CHECK(m.run() == End::halted);
    check_syscall(m);
    CHECK(m.result(12) == m.program["after_compatibility_syscall"]);
}
